import json


def to_json(value: object) -> str:
    return json.dumps(value)
