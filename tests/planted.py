"""One example of each kind of secret that is known by its looks, and texts that take long to look through."""

import time
from collections.abc import Callable

_HEX, _KEY = "0123456789abcdef", "MIIEpAIBAAKCAQEA"

SECRETS = {  # the rule's name: a text, and what must go
    "private key": (
        f"read -----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES-256-CBC\n{_KEY}\n-----END RSA PRIVATE KEY-----",
        _KEY,
    ),
    "json web token": ("got eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0NTYifQ. back", "eyJzdWIiOiIxMjM0NTYifQ"),
    "aws key id": ("as AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    "github token": ("with ghp_abcdefghijklmnopqrstuvwxyz", "ghp_abcdefghijklmnopqrstuvwxyz"),
    "gitlab token": ("with glpat-a1b2c3d4e5f6g7h8", "glpat-a1b2c3d4e5f6g7h8"),
    "slack token": ("with xoxo-a1b2c3d4e5f6", "xoxo-a1b2c3d4e5f6"),
    "stripe key": ("with whsec_a1b2c3d4e5f6g7h8", "whsec_a1b2c3d4e5f6g7h8"),
    "model provider key": ("with sk-proj-a1b2c3d4e5f6g7h8", "sk-proj-a1b2c3d4e5f6g7h8"),
    "google key": ("with AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O", "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O"),
    "sendgrid key": ("with SG.Zx8aQ1LmT0u2Yv5W.kJ3hG5fD7sA9pO1i", "SG.Zx8aQ1LmT0u2Yv5W.kJ3hG5fD7sA9pO1i"),
    "npm token": ("with npm_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5", "npm_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5"),
    "hugging face token": ("with hf_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5", "hf_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5"),
    "pypi token": ("with pypi-a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5", "pypi-a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5"),
    "vault token": ("with hvs.CAESIJ2pQ4mW8xZrT6vYbN0c", "hvs.CAESIJ2pQ4mW8xZrT6vYbN0c"),
    "age key": ("with AGE-SECRET-KEY-1QPZRY9X8GF2TVDW0S3JN54", "AGE-SECRET-KEY-1QPZRY9X8GF2TVDW0S3JN54"),
    "digitalocean token": (f"with dop_v1_{_HEX * 4}", f"dop_v1_{_HEX * 4}"),
    "shopify token": (f"with shpat_{_HEX * 2}", f"shpat_{_HEX * 2}"),
    "databricks token": (f"with dapi{_HEX * 2}", f"dapi{_HEX * 2}"),
    "twilio key": (f"with SK{_HEX * 2}", f"SK{_HEX * 2}"),
    "telegram token": (
        "https://api.telegram.org/bot123456789:AAE0f-1d2C3b4A5z6Y7x8W9v0U1t2S3r4Q5/send",
        "AAE0f-1d2C3b4A5z6Y7x8W9v0U1t2S3r4Q5",
    ),
    "webhook": ("https://hooks.slack.com/services/T00000000/B00000000/a1B2c3D4", "T00000000/B00000000/a1B2c3D4"),
    "bearer": ("sent Bearer abcdefgh12345678", "abcdefgh12345678"),
    "basic": ("sent Basic YW5uOmh1bnRlcjIy", "YW5uOmh1bnRlcjIy"),
    "password in URL": ("asked postgresql://shop:hunter22@db/shop", "hunter22"),
    "signed URL": ("at https://a.blob.core.windows.net/c?sv=2022&sig=Zm9v%3D&se=1", "Zm9v%3D"),
    "password in text": ('said {\\"password\\": \\"hunter22\\", \\"n\\": 1}', "hunter22"),
    "password after a colon": ("login password: hunter22 failed", "hunter22"),
    "password after an option": ("run --db-password 'hunter22' now", "hunter22"),
    "password in arguments": ('["curl","--token","hunter\\"22","-v"]', 'hunter\\"22'),
    "password of mysql": ("docker exec -it db mysql -h db -uroot -phunter22 shop", "hunter22"),
    "password in XML": ('<a:Password Type="t">hunter22</a:Password>', "hunter22"),
    "card number": ("paid by 4111 1111 1111 1111", "4111 1111 1111 1111"),
}

OTHERS = (
    "-----BEGIN PRIVATE KEY-----\nhunter22",
    "mysql -uroot -p'hunter22' shop",
    "sh -c 'cd /srv && /usr/bin/mysqldump --single-transaction -phunter22 shop > out'",
    "sudo mysql -phunter22",
    "kubectl exec -n shop pod -- mysql -uroot -phunter22",
    "https://b.s3.amazonaws.com/k?X-Amz-Expires=9&X-Amz-Signature=hunter22&x=1",
    "https://storage.googleapis.com/k?X-Goog-Signature=hunter22",
    "AccountName=a;AccountKey=hunter22==;EndpointSuffix=x",
    "Endpoint=sb://n/;SharedAccessKeyName=root;SharedAccessKey=hunter22+/=",
    "https://discord.com/api/webhooks/123456789012345678/hunter22-g7H8_i9J0k1Lm",
    "with github_pat_11AAhunter22_a1b2c3d4e5f6",
    "passphrase=hunter22",
    "Authorization: Token hunter22",
    "accessKey = 'hunter22'",
    "Cookie=hunter22",
    "userPassword=hunter22",
)
"""More ways to write some of them; `hunter22` is the secret in each."""

COMMANDS = (
    "docker run --name mysql -p3306:3306 -d mysql:8",
    "docker run -v /data/mysql -p3306:3306 mysql:8 --skip-log-bin",
    'docker run --label "mysql db" -p3306:3306 mysql',
    "docker run -v /opt:/usr/bin/mysql -p3306:3306 mysql",
    "docker exec mysql tar -pxf /tmp/a.tar",
    "docker compose up mysql && docker port mysql -p",
    "ssh mysql -p2222",
    "mysql -uroot -p shop",
    "mysql -P3306 -h db --protocol=tcp",
    "mysql | tee -pa",
    "pip install mysql -pre",
    "nmap -sV mysql -p3306",
    "usage: login <password> <token> [options]",
    "https://a.example:8080/x@y",
)
"""What only looks alike."""


LONG = ("eyJ", "7", "exec ", "docker exec a mysql ", 'form-data; name="a"\r\na\r\n')
FILLERS = (" ", "a", "7", "a.", "a-", "/", "\\", "a\r\n", "-----BEGIN PRIVATE KEY-----A")


def grows(look: Callable[[str], object], piece: str, most: int = 20_000) -> list[str]:
    """What `piece` is repeated with, or what follows it over and over, where looking takes more than its length.

    Eight times the text may take twenty times as long; from each character to the end it would be 64 times.
    """
    texts = {piece: piece, **{f"{piece}, then {filler}": filler for filler in FILLERS}}
    found = []
    for name, word in texts.items():
        before = "" if name == piece else piece
        whole = (before + word * most)[:most] + "!"
        took = _seconds(look, whole)
        if took > 0.1 and took > 20 * _seconds(look, whole[: most // 8] + "!"):
            found.append(name)
    return found


def _seconds(look: Callable[[str], object], text: str) -> float:
    begun = time.process_time()
    look(text)
    return time.process_time() - begun
