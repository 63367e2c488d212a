"""What programs of chats ask for themselves, in the shapes that they ask it in."""

import pytest

from sleepcycle.home.housekeeping import is_housekeeping

CHAT = (
    "\n<chat_history>\nUSER: How do tides work?\nASSISTANT: The moon.\n</chat_history>"
)
OPEN_WEBUI = {
    "title": "### Task:\nMake a title of 3 to 5 words, with an emoji, that sums up the "
    'chat.\n### Output:\nJSON: { "title": "what you chose" }\n### Chat History:' + CHAT,
    "tags": "### Task:\nFind 1 to 3 broad tags for the main themes.\n### Output:\n"
    '{ "tags": ["one", "two"] }\n### Chat History:' + CHAT,
    "follow-ups": "### Task:\nPropose 3 to 5 questions that the user may ask next.\n"
    '### Output:\n{ "follow_ups": ["First?", "Second?"] }' + CHAT,
    "queries": "### Task:\nDecide whether a search is needed, and write its queries.\n"
    '### Output:\n{ "queries": ["one"] }' + CHAT,
    "autocomplete": "### Task:\nYou complete the text in <text>.\n### Output:\n"
    '{ "text": "what comes next" }\n<text>How do ti</text>',
    "image": "### Task:\nWrite a prompt for a picture of this chat.\n### Output:\n"
    '{ "prompt": "a moon" }' + CHAT,
    "in another language": "### Aufgabe:\nFinde einen Titel.\n### Ausgabe:\n"
    '{ "title": "Titel" }\n### Verlauf:' + CHAT,
    "old title": "Create a title of 3-5 words with an emoji for the chat history "
    "below, with no quotation marks.\nHow do tides work?",
}
OTHERS = {
    "librechat": "Give a title for the conversation in 5-words-or-less, in its own "
    "language, with no punctuation and in title case.\n\nUser: Tides?\nAI: The moon.",
    "librechat, old": "Detect the language and write in it an extremely concise title "
    "for this conversation.\n||>User:\nTides?\n||>Title:",
    "nextchat": "Please make a four to five word title that sums up our conversation, "
    "without any lead-in, punctuation or quotation marks.",
    "chatbox": "By the chat history, give this conversation a name of at most 10 "
    "characters. No quotes.",
    "librechat, with its language": "Analyze this conversation and give:\n1. Its "
    "language\n2. A title in it (5 words or less, no punctuation)\n\nUser: Tides?",
    "a memory": "Sum the talk up in 200 words, as a prompt for future context.",
    "a face": "Show the speaker's facial expression by a fitting emoji.\nMessage: Oh!",
    "a tool": f"Available Tools: {['look'] * 500}\nNow choose the right tool.",
    "cherry": "Summarize the session as a 10-word title, and use no punctuation.",
}


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize("name", OPEN_WEBUI)
def test_tasks_of_open_webui_are_told(name):
    assert is_housekeeping([user(OPEN_WEBUI[name])])


@pytest.mark.parametrize("name", OTHERS)
def test_title_prompts_of_others_are_told(name):
    assert is_housekeeping([user(OTHERS[name])])


def test_one_after_a_whole_chat_is_told():
    turns = [user("How do tides work?"), {"role": "assistant", "content": "The moon."}]

    assert not is_housekeeping(turns[:1])
    assert is_housekeeping([*turns, user(OTHERS["nextchat"])])


def test_one_of_the_system_is_told():
    system = "You are a title generator. You write only a title for the chat."
    turns = [{"role": "system", "content": system}, user("How do tides work?")]

    assert is_housekeeping(turns)


def test_one_in_parts_is_told():
    part = {"type": "text", "text": OPEN_WEBUI["title"]}

    assert is_housekeeping([{"role": "user", "content": [part]}])


def test_one_that_was_asked_earlier_does_not_count():
    answer = {"role": "assistant", "content": '{"title": "Tides"}'}

    assert not is_housekeeping([user(OPEN_WEBUI["title"]), answer, user("Why two?")])


@pytest.mark.parametrize(
    "text",
    [
        "How do tides work?",
        "Suggest a title for my novel about a conversation at sea.",
        "Write a title for the chat app that I build, please.",
        "Give this conversation between Anna and Ben a better ending.",
        "### Task:\nSort this list of numbers.\n### Input:\n3, 1, 2",
        "Summarize this discussion: Anna says yes, Ben says no.",
        "Answer in JSON with a key for each moon of Mars.",
        "Explain in three words what a session is, without quotation marks.",
        "Which tags does HTML have?",
        "",
    ],
)
def test_what_a_person_asks_is_not(text):
    assert not is_housekeeping([user(text)])


@pytest.mark.parametrize(
    "messages",
    [[], [{}], [{"role": "user"}], [{"role": "user", "content": [3, {"text": 4}]}]],
)
def test_what_says_nothing_is_not(messages):
    assert not is_housekeeping(messages)


def test_what_a_user_asks_over_found_documents_is_not():
    """
    Open WebUI puts it under a heading too, and a document may be of any form.
    """
    found = '{ "title": "Tides" }\n### Chat History:' + CHAT
    text = (
        "### Task:\nAnswer the query by the context, and name sources.\n"
        f"<context>\n<source>{found}</source>\n</context>\n"
        f"<user_query>\nA title for this conversation in JSON: {found}</user_query>"
    )

    assert not is_housekeeping([user(text)])


def test_a_system_prompt_with_rules_of_form_is_not():
    system = (
        "You are a helpful assistant. Answer in JSON, without any explanation, and be "
        "brief."
    )
    turns = [{"role": "system", "content": system}, user("How do tides work?")]

    assert not is_housekeeping(turns)
