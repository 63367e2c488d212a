"""A whole row of each shape, and a short way to read one as a file has it."""

import json

import pytest

from sleepcycle.errors import RowError
from sleepcycle.feed.rows import parse_json
from sleepcycle.feed.shapes import AS_THEY_ARE, Format, read_row, shape_of

ASKED = {"role": "user", "content": "q"}
ANSWERED = {"role": "assistant", "content": "a"}
WHOLE = {
    Format.MESSAGES: {"messages": [ASKED, ANSWERED]},
    Format.SHAREGPT: {
        "conversations": [
            {"from": "human", "value": "q"},
            {"from": "gpt", "value": "a"},
        ]
    },
    Format.CHATGPT: {
        "mapping": {
            "1": {
                "message": {
                    "author": {"role": "user"},
                    "content": {"content_type": "text", "parts": ["q"]},
                },
                "parent": None,
                "children": ["2"],
            },
            "2": {
                "message": {
                    "author": {"role": "assistant"},
                    "content": {"content_type": "text", "parts": ["a"]},
                },
                "parent": "1",
                "children": [],
            },
        },
        "current_node": "2",
    },
    Format.CLAUDE: {
        "chat_messages": [
            {"sender": "human", "text": "q"},
            {"sender": "assistant", "text": "a"},
        ]
    },
    Format.OPEN_WEBUI: {"chat": {"messages": [ASKED, ANSWERED]}},
    Format.OPEN_WEBUI_RATING: {
        "data": {"rating": 1},
        "meta": {"message_id": "2"},
        "snapshot": {
            "chat": {
                "history": {
                    "messages": {
                        "1": {**ASKED, "parentId": None, "childrenIds": ["2"]},
                        "2": {**ANSWERED, "parentId": "1", "childrenIds": []},
                    }
                }
            }
        },
    },
    Format.LANGSMITH: {
        "inputs": {"messages": [ASKED]},
        "outputs": {"choices": [{"message": ANSWERED}]},
    },
    Format.COMPLETION: {"prompt": "q", "completion": "a"},
    Format.ALPACA: {"instruction": "q", "input": "about", "output": "a"},
    Format.DOLLY: {"instruction": "q", "response": "a"},
    Format.QUESTION: {"question": "q", "answer": "a"},
    Format.TEXT: {"text": "a text"},
}


def read_as_fed(row, options=AS_THEY_ARE):
    """Return the reading of a row, given as an object or as its JSON."""
    written = row if isinstance(row, str) else json.dumps(row)
    value = parse_json(written.encode(), max_depth=64)
    return read_row(value, shape_of(value), options)


def fault_of(row, options=AS_THEY_ARE):
    """Return why a row is refused."""
    with pytest.raises(RowError, match=r"expected|is false|is 0|weight 0") as caught:
        read_as_fed(row, options)
    return caught.value
