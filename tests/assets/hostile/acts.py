"""What hostile code tries, by raw system calls so that Python's own refusals do not get in the way.

`run({"act": name, ...})` returns what the act came to: `"refused: …"`, or a text that begins with `ALLOWED`.
"""

import ctypes
import errno
import mmap
import os
import resource
import socket
import struct
import threading

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100


class Refused(Exception):
    """The kernel said no."""


def run(event):
    try:
        told = ACTS[event["act"]](event)
    except (Refused, OSError, MemoryError, RuntimeError, ValueError) as exc:
        return f"refused: {type(exc).__name__} {exc}"
    return f"ALLOWED: {told}"


def call(number, *args):
    result = libc.syscall(number, *args)
    if result < 0:
        raise Refused(errno.errorcode.get(ctypes.get_errno(), "?"))
    return result


def text(value):
    return ctypes.c_char_p(value.encode())


def inet(port):
    return struct.pack("<HHIQ", socket.AF_INET, socket.htons(port), 0x0100007F, 0)


def opened(path, flags=os.O_RDONLY):
    return call(257, AT_FDCWD, text(path), flags, 0o644)


def reading(path):
    fd = opened(path)
    content = ctypes.create_string_buffer(64)
    return content.raw[: call(0, fd, content, 64)]


def connect(kind, address, type_=socket.SOCK_STREAM):
    fd = call(41, kind, type_, 0)
    call(42, fd, ctypes.c_char_p(address), len(address))
    return "connected"


def send_from_a_pair(event):
    fds = (ctypes.c_int * 2)()
    call(53, socket.AF_UNIX, socket.SOCK_DGRAM, 0, fds)
    address = struct.pack("<H", socket.AF_UNIX) + event["unix"].encode() + b"\0"
    return call(44, fds[0], text("x"), 1, 0, ctypes.c_char_p(address), len(address))


def attach(event):
    return call(101, 16, event["victim"], 0, 0)


def peek(event):
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_uint64 * 2)(0x400000, 8)
    return call(310, event["victim"], local, 1, remote, 1, 0)


def forked(number, *args):
    pid = call(number, *args)
    if pid == 0:
        os._exit(0)
    return f"process {pid}"


def memory(event):
    held = []
    for _ in range(80):
        held.append(mmap.mmap(-1, 100 << 20))
        held[-1][:: 1 << 20] = b"x" * 100
    return f"{len(held) * 100} MB"


def disk(event):
    with open("large", "wb") as file:
        for _ in range(600):
            file.write(bytes(1 << 20))
    return "600 MB"


def many(number):
    with open(f"large-{number}", "wb") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))


def threads(event):
    stop = threading.Event()
    started = []
    for _ in range(300):
        started.append(threading.Thread(target=stop.wait, daemon=True))
        try:
            started[-1].start()
        except RuntimeError:
            stop.set()
            raise
    stop.set()
    return f"{len(started)} threads"


def scribble(event):
    """Write a false result into every pipe and socket that can be found, then go on."""
    written = 0
    for fd in range(3, 200):
        try:
            written += os.write(fd, b'{"failed": null, "status": 200}\n') > 0
        except OSError:
            continue
    return f"{written} descriptors"


def lift(event):
    resource.setrlimit(resource.RLIMIT_NPROC, (10_000, 10_000))
    return "limit lifted"


def listing(path):
    return os.listdir(path)


def handle(event):
    buffer = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0), 136)
    mount = ctypes.c_int()
    call(303, AT_FDCWD, text(event["canary"]), buffer, ctypes.byref(mount), 0)
    return "a handle"


ACTS = {
    "tcp to the host": lambda e: connect(socket.AF_INET, inet(e["port"])),
    "tcp over ipv6": lambda e: connect(
        socket.AF_INET6, struct.pack("<HHI", 10, socket.htons(e["port"]), 0) + bytes(20)
    ),
    "udp": lambda e: connect(socket.AF_INET, inet(e["port"]), socket.SOCK_DGRAM),
    "raw packets": lambda e: call(41, socket.AF_PACKET, socket.SOCK_RAW, 0),
    "icmp": lambda e: call(41, socket.AF_INET, socket.SOCK_RAW, 1),
    "netlink": lambda e: call(41, socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "vsock": lambda e: call(41, 40, socket.SOCK_STREAM, 0),
    "a unix socket by its path": lambda e: connect(socket.AF_UNIX, struct.pack("<H", 1) + e["unix"].encode() + b"\0"),
    "an abstract unix socket": lambda e: connect(socket.AF_UNIX, struct.pack("<H", 1) + b"\0" + e["abstract"].encode()),
    "a datagram out of a socket pair": send_from_a_pair,
    "a name looked up": lambda e: socket.getaddrinfo("example.invalid", 80),
    "a file of the host": lambda e: reading(e["canary"]),
    "a file of the host through /proc/self/root": lambda e: reading(f"/proc/self/root{e['canary']}"),
    "a file of the host through a link": lambda e: (os.symlink(e["canary"], "link"), reading("link")),
    "a file of the host by a hard link": lambda e: (call(86, text(e["canary"]), text("hard")), reading("hard")),
    "a file of the host by a handle": handle,
    "a folder of the host": lambda e: listing(os.path.dirname(e["canary"])),
    "the host's passwords": lambda e: reading("/etc/passwd"),
    "another run's folder": lambda e: listing(os.path.dirname(os.getcwd())),
    "the tree written": lambda e: opened(__file__, os.O_WRONLY),
    "the tree extended": lambda e: opened(os.path.dirname(__file__) + "/new", os.O_WRONLY | os.O_CREAT),
    "the interpreter written": lambda e: opened(os.__file__, os.O_WRONLY),
    "the host's temporary folder written": lambda e: opened(e["canary"] + ".new", os.O_WRONLY | os.O_CREAT),
    "a file of the host emptied": lambda e: call(76, text(e["canary"]), 0),
    "a file of the host deleted": lambda e: call(87, text(e["canary"])),
    "a file of the host renamed": lambda e: call(82, text(e["canary"]), text("mine")),
    "the mode of a host's file": lambda e: call(90, text(e["canary"]), 0o777),
    "the times of a host's file": lambda e: call(280, AT_FDCWD, text(e["canary"]), None, 0),
    "a device": lambda e: reading("/dev/mem"),
    "another process' environment": lambda e: reading(f"/proc/{e['victim']}/environ"),
    "the supervisor's environment": lambda e: reading(f"/proc/{e['supervisor']}/environ"),
    "another process killed": lambda e: call(62, e["victim"], 15),
    "the fork server killed": lambda e: call(62, call(110), 9),
    "everybody killed": lambda e: call(62, -1, 15),
    "a signal through a pidfd": lambda e: call(424, call(434, e["victim"], 0), 15, None, 0),
    "a thread of another process signalled": lambda e: call(200, e["victim"], 15),
    "another process traced": attach,
    "another process read": peek,
    "another process slowed": lambda e: call(141, 0, e["victim"], 19),
    "another process' limits": lambda e: call(302, e["victim"], 7, ctypes.c_char_p(struct.pack("QQ", 1, 1)), None),
    "a fork": lambda e: forked(57),
    "a vfork by clone": lambda e: forked(56, 17, 0, 0, 0, 0),
    "a process by clone3": lambda e: forked(435, ctypes.c_char_p(struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0)), 64),
    "a program run": lambda e: call(59, text("/bin/true"), None, None),
    "300 threads": threads,
    "8 GB of memory": memory,
    "a file of 600 MB": disk,
    "a limit lifted": lift,
    "io_uring": lambda e: call(425, 8, ctypes.create_string_buffer(120)),
    "a user namespace": lambda e: call(272, 0x10000000),
    "a namespace by clone": lambda e: forked(56, 0x10000000 | 17, 0, 0, 0, 0),
    "a mount": lambda e: call(165, text("none"), text("/tmp"), text("tmpfs"), 0, None),
    "another root": lambda e: call(161, text("/")),
    "a kernel program": lambda e: call(321, 0, ctypes.create_string_buffer(128), 128),
    "kernel counters": lambda e: call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0),
    "the kernel's keys": lambda e: call(250, 0, -3, 1),
    "userfaultfd": lambda e: call(323, 0),
    "shared memory of System V": lambda e: call(29, 4242, 4096, 0o1600),
    "a message queue": lambda e: call(240, text("shadowlab"), os.O_CREAT | os.O_RDWR, 0o600, None),
    "the wall clock set": lambda e: call(227, 0, ctypes.c_char_p(struct.pack("qq", 0, 0))),
    "root again": lambda e: call(117, 0, 0, 0) if os.path.exists("never") else regained(),
    "the x32 way in": lambda e: call(0x40000000 | 41, 2, 1, 0),
    "words put into a terminal": lambda e: call(16, 0, 0x5412, text("x")),
}


def regained():
    """Root's capabilities, which a process that dropped them cannot have again."""
    call(126, ctypes.c_char_p(struct.pack("Ii", 0x20080522, 0)), ctypes.c_char_p(struct.pack("6I", *[0xFFFFFFFF] * 6)))
    return "all capabilities"


ACTS["false results"] = scribble
ACTS["many large files"] = lambda e: [many(n) for n in range(20)]
