"""The small inputs beside the project that once failed, and what is right for each."""

import re
from pathlib import Path

import pytest

from sleepcycle.errors import FeedError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.content import Conversation, parse_canonical
from tests.conftest import SHARED

CASES = SHARED.with_name("cases")
NO_ROWS = ("s12_stalled_copy", "s42_cwd_shadow", "a02_other_base_name")  # not to be fed
READ = {
    "d01_openai_weight0/d.jsonl": 12,
    "d03_sharegpt_weight0/d.jsonl": 12,
    "d04_kto_label_false/d.jsonl": (6, {"E_REJECTED": 6}),
    "d08_system_beside_messages/d.jsonl": 12,
    "d17_trl_conv_prompt_fewshot/d.jsonl": 12,
    "d19_trailing_user/d.jsonl": 12,
    "d20_two_users/d.jsonl": 12,
    "d21_mixed_role_from/d.jsonl": 12,
    "d22_value_null/d.jsonl": (11, {"E_SHAPE": 1}),
    "d26_chatgpt_export/conversations.json": 12,
    "d27_openwebui_export/chat-export.json": 12,
    "d28_claude_export/conversations.json": 12,
    "d29_langsmith/d.jsonl": 12,
    "d34_csv_semicolon/d.csv": 12,
    "d35_csv_sep_line/d.csv": 12,
    "d36_csv_excel_trailing/d.csv": 12,
    "d37_csv_pandas_index/d.csv": 12,
    "d38_csv_messages_json/d.csv": 12,
    "d42_csv_text_nan/d.csv": 6,
    "d43_json_pretty_single/d.json": 1,
    "d44_json_pretty_concat/d.jsonl": 12,
    "d45_json_wrapped_data/d.json": 12,
    "d46_json_columns/d.json": 12,
    "d48_crlf_cr_only/d.jsonl": 12,
    "d49_u2028/d.jsonl": 12,
    "d50_zero_width_rtl/d.jsonl": 13,
    "d51_lone_surrogate/d.jsonl": (12, {"E_UTF8": 1}),
    "d52_txt/book.txt": 1,
    "d53_md/notes.md": 1,
    "d54_md_link/links.md": 1,
    "d55_text_chat_markup/d.jsonl": 12,
    "d56_text_special_nano/d.jsonl": 12,
    "d61_mixed_shapes/d.jsonl": (90, {"E_SHAPE": 10}),
    "d64_name_key/d.jsonl": 12,
    "d65_prefix/d.jsonl": 12,
    "d69_jsonl_bom_utf8/d.jsonl": 12,
    "d70_tsv_quotes/d.tsv": 12,
    "d72_duplicate_turn_system_both/d.jsonl": 12,
    "d74_messages_as_string/d.jsonl": 12,
    "d76_completion_stop/d.jsonl": 12,
    "d79_many_bad_small/d.jsonl": (20, {"E_UNSUPPORTED_KEY": 4}),
    "d80_whitespace_answers/d.jsonl": 5,
    "d81_tsv_open_quote/d.tsv": 1000,
    "d82_parquet/alpaca_null_input.parquet": 12,
    "d82_parquet/capital.parquet": 1,
    "d82_parquet/kto.parquet": (6, {"E_REJECTED": 6}),
    "d82_parquet/maps.parquet": 12,
    "d82_parquet/qa.parquet": 1,
    "d82_parquet/struct.parquet": 12,
    "d82_parquet/weights.parquet": 12,
    "d83_arrow/ds": 12,
    "d84_misc/a.jsonl.bz2": 12,
    "d84_misc/a.jsonl.xz": 12,
    "d84_misc/arr.jsonl": 12,
    "d84_misc/arr_pretty.jsonl": 12,
    "d84_misc/blank_utf8bom_mid.jsonl": 24,
    "d84_misc/concat.jsonl": 12,
    "d84_misc/crlf_in_quoted.csv": 1,
    "d84_misc/formula.csv": 1,
    "d84_misc/header_ws.csv": 1,
    "d84_misc/long.jsonl.zst": 12,
    "d84_misc/nanvals.jsonl": 12,
    "d84_misc/noext": 12,
    "d84_misc/openai_legacy_chatlog.yaml": 1,
    "d84_misc/trailing_comma.json": (12, {"E_JSON": 1}),
    "d84_misc/wrong.csv": 12,
    "d84_misc/wrong.jsonl": 12,
    "d85_long_text/d.jsonl": 12,
    "d87_text_with_marks/d.jsonl": 1,
    "d88_control_tokens_in_answer/d.jsonl": 1,
    "s03_markup/[bold]x[red].jsonl": 24,
    "t01_one_multiturn_row/d.jsonl": 61,
    "t03_one_leading_newline/d.jsonl": 61,
    "t04_think_rows/d.jsonl": 40,
    "t06_plain/d.jsonl": 60,
}
"""Examples that come of a file, and by its code how many rows do not."""

REFUSED = {
    "d06_reasoning_content/d.jsonl": "E_UNSUPPORTED_KEY 12.*reasoning_content",
    "d10_tools_row_no_call/d.jsonl": "E_UNSUPPORTED_KEY 12.*no tools",
    "d11_tool_calls/d.jsonl": "E_UNSUPPORTED_KEY 12.*tools",
    "d15_messages_plus_dpo/d.jsonl": "E_UNSUPPORTED_KEY 12.*'chosen'",
    "d16_dpo_only/d.jsonl": "E_UNSUPPORTED_KEY 12.*'chosen'.*--ignore rejected",
    "d18_empty_assistant_mid/d.jsonl": "E_EMPTY 12",
    "d23_parts_openai_responses/d.jsonl": "E_SHAPE 12.*input_text",
    "d24_multimodal/d.jsonl": "E_UNSUPPORTED_KEY 12.*image_url",
    "d30_bedrock_nova/d.jsonl": "E_SHAPE 12",
    "d31_vertex_gemini/d.jsonl": "E_SHAPE 12.*contents",
    "d32_cohere/d.jsonl": "E_ROLE 12.*'System'",
    "d33_capital_roles/d.jsonl": "E_ROLE 12.*'User'",
    "d39_csv_pyrepr/d.csv": "Python's way of writing it",
    "d40_csv_cp1252/d.csv": "E_UTF8 12",
    "d41_csv_utf16/d.csv": "got UTF-16",
    "d47_jsonl_comments_commas/d.jsonl": "got a comment",
    "d58_alpaca_instr_empty/d.jsonl": "E_EMPTY 12.*instruction",
    "d59_alpaca_list_output/d.jsonl": "E_SHAPE 12.*output, got a list",
    "d60_prompt_mixed/d.jsonl": "E_SHAPE 12.*prompt, got a list",
    "d62_axolotl_segments/d.jsonl": "E_SHAPE 12.*segments",
    "d63_glaive/d.jsonl": "E_SHAPE 12.*chat",
    "d67_xlsx/d.xlsx": "Excel workbook; save the sheet as CSV",
    "d68_zip/d.zip": "zip archive; unpack it",
    "d77_conversation_list_root/d.json": "E_SHAPE 12.*got a list",
    "d78_content_dict/d.jsonl": "E_SHAPE 12.*content",
    "d82_parquet/binary.parquet": "E_SHAPE 6.*completion, got bytes",
    "d82_parquet/nulls.parquet": "E_SHAPE 3.*text, got null",
    "d82_parquet/reasoning.parquet": "E_UNSUPPORTED_KEY 12.*reasoning_content",
    "d84_misc/a.tar.gz": "tar archive; unpack it",
    "d84_misc/a.zip": "zip archive; unpack it",
    "d84_misc/noheader.csv": "got: q0, a0; name yours by --map",
}
"""What is said of a file of which nothing is learned."""


def files(found: Path = CASES) -> list[str]:
    """Return the files that are there; a folder of `datasets` counts as one."""
    inner = [
        each
        for folder in (sorted(found.iterdir()) if found.is_dir() else [])
        if folder.is_dir() and folder.name not in NO_ROWS
        for each in sorted(folder.iterdir())
    ]
    return [each.relative_to(found).as_posix() for each in inner]


pytestmark = [
    pytest.mark.shared,
    pytest.mark.usefixtures("workers_forked"),
    pytest.mark.skipif(
        not CASES.is_dir(), reason="the cases are not beside the project"
    ),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home on `builtin:nano` to which nothing is added."""
    root = tmp_path_factory.mktemp("cases") / "home"
    create_home(root)
    return open_home(root)


def try_feed(home, name):
    """Return what a feed of a case would bring."""
    return home.feed(CASES / name, options=FeedOptions(dry_run=True))


def samples(home, name):
    """Return the first examples of a case."""
    return [parse_canonical(one) for one in try_feed(home, name).samples]


def shown(home, name):
    """Return its first examples as the base sees them, and what of them is learned."""
    examples = home.show_examples(try_feed(home, name).samples)
    assert [one.fault for one in examples if one.fault] == []
    return [
        "".join(part.text for part in sequence if part.weight)
        for one in examples
        for sequence in one.sequences
    ]


@pytest.mark.parametrize("name", files())
def test_each_case_gives_what_is_right_for_it(home, name):
    if name in REFUSED:
        with pytest.raises(FeedError, match=re.compile(REFUSED[name], re.DOTALL)):
            try_feed(home, name)
        return
    right = READ[name]
    accepted, reasons = right if isinstance(right, tuple) else (right, {})

    report = try_feed(home, name)

    assert (report.accepted, report.reasons) == (accepted, reasons)


class TestWhatIsLearned:
    @pytest.mark.parametrize(
        "name",
        [
            "d01_openai_weight0/d.jsonl",
            "d03_sharegpt_weight0/d.jsonl",
            "d82_parquet/weights.parquet",
        ],
    )
    def test_no_wrong_answer_is(self, home, name):
        learned = shown(home, name)

        assert not any("WRONG" in one for one in learned)
        assert all("RIGHT" in one for one in learned)

    def test_no_answer_that_is_labelled_bad_is(self, home):
        said = [one.completion for one in samples(home, "d04_kto_label_false/d.jsonl")]

        assert not any("Rude" in one for one in said)

    @pytest.mark.parametrize(
        ("name", "systems"),
        [
            ("d08_system_beside_messages/d.jsonl", 1),
            ("d72_duplicate_turn_system_both/d.jsonl", 1),
        ],
    )
    def test_a_system_text_is_there_once(self, home, name, systems):
        for content in samples(home, name):
            roles = [str(turn.role) for turn in content.messages]
            assert roles.count("system") == systems

    def test_no_answer_of_a_prompt_is(self, home):
        learned = shown(home, "d17_trl_conv_prompt_fewshot/d.jsonl")

        assert not any("EXAMPLE" in one for one in learned)

    def test_the_answers_of_a_think_row_are_whole(self, home):
        assert all("<think>" in one for one in shown(home, "t04_think_rows/d.jsonl"))

    def test_rows_of_a_shape_that_is_a_chat_are_chats(self, home):
        for name in ("d26_chatgpt_export/conversations.json", "d29_langsmith/d.jsonl"):
            assert all(isinstance(one, Conversation) for one in samples(home, name))


class TestAsTheBaseSeesIt:
    @pytest.mark.parametrize(
        "name",
        ["d56_text_special_nano/d.jsonl", "d88_control_tokens_in_answer/d.jsonl"],
    )
    def test_control_tokens_of_content_are_plain_words(self, home, name):
        from sleepcycle.model.base import load_text_base
        from sleepcycle.model.encode import encode

        base = load_text_base(home.settings.model)
        ends = base.tokenizer.convert_tokens_to_ids("<|end|>")

        for content in samples(home, name):
            [one] = encode(content, base, prompt_weight=0.0)
            # the turn of the user ends, and that of the assistant, and no other
            assert one.ids.count(ends) <= 2

    def test_marks_that_stand_in_a_text_are_not_doubled(self, home):
        [content] = samples(home, "d87_text_with_marks/d.jsonl")
        from sleepcycle.model.base import load_text_base
        from sleepcycle.model.encode import encode

        base = load_text_base(home.settings.model)
        [one] = encode(content, base, prompt_weight=0.0)

        for name in ("<|bos|>", "<|eos|>"):
            assert one.ids.count(base.tokenizer.convert_tokens_to_ids(name)) <= 1

    def test_a_long_text_is_split(self, home):
        examples = home.show_examples(try_feed(home, "d85_long_text/d.jsonl").samples)

        assert any(len(one.sequences) > 1 for one in examples)

    @pytest.mark.parametrize(
        "name",
        [
            "t01_one_multiturn_row/d.jsonl",
            "t03_one_leading_newline/d.jsonl",
            "t06_plain/d.jsonl",
        ],
    )
    def test_rows_of_a_chat_can_all_be_rendered(self, home, name):
        assert all(one.strip() for one in shown(home, name))
