"""Curricula: what the files may say, and those built in."""

from pathlib import Path
from random import Random

import pytest
from transformers import AutoTokenizer

from sleepcycle.curricula.curriculum import builtin, builtins, read_curriculum
from sleepcycle.errors import ConfigError
from sleepcycle.model.calculator import call_in, with_result
from sleepcycle.records.content import Completion
from sleepcycle_study.domains.arithmetic.arithmetic import Arithmetic
from sleepcycle_study.domains.code.code import Code
from sleepcycle_study.domains.facts.facts import Facts
from sleepcycle_study.domains.logic.logic import Logic
from sleepcycle_study.experiment.teaching import render
from tests.curricula.conftest import FORM, HEAD

NANO = Path(__file__).parents[2] / "sleepcycle" / "nano"
DOMAINS = {
    "four_phases": Arithmetic(),
    "logic": Logic(),
    "facts": Facts(),
    "code": Code(),
}
MAX_BYTES = 420  # a token is at least a byte, and the smallest context has 512


class TestReading:
    def test_what_is_left_out_has_its_default(self, read):
        [phase] = read(HEAD + FORM).phases

        assert (phase.source, phase.fed_as, phase.file) == ("", "first", "")
        assert (phase.samples, phase.epochs) == (1_000, 3.0)
        assert (phase.lr, phase.lr_scale, phase.consolidate) == ("auto", 1.0, False)
        assert (phase.forms[0].language, phase.forms[0].when) == ("en", "")

    def test_a_phase_may_have_fed_batches_alone(self, read):
        """
        The service needs no domain: what was fed with the source's name belongs to it.
        """
        [phase] = read(HEAD + 'source = "manuals"\nlr = 1e-4\n').phases

        assert (phase.fed_as, phase.lr, phase.forms) == ("manuals", 1e-4, [])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name = ", r"expected TOML, got: .*; mend the file there"),
            ("a = " + "[" * 9_999, r"expected TOML, got: "),
            ("", r"name: expected a value, got none; set name"),
            ('name = "x"', r"phases: expected a value, got none; set phases"),
            ('name = "x"\nphases = []', r"at least one phase, got none; add a \[\["),
            ('name = "x"\nphases = 3', r"phases: expected a list, got 3"),
            ('name = "x"\nphases = [3]', r"phases\.1: expected a table of keys, got 3"),
            ("name = 3\nphases = []", r"name: expected text in quotes, got 3"),
            (HEAD.replace("mine", "Mine/x"), r"name: expected a word of .*'Mine/x'"),
            (
                HEAD + "epoch = 2",
                r"unknown key .*first\.epoch; did you mean phases\.first\.epochs\?",
            ),
            (HEAD + "zzz = 2", r"unknown key phases\.first\.zzz; known are name, "),
            (HEAD + "samples = 0", r"first\.samples: expected a number above 0, got 0"),
            (HEAD + "samples = 1.5", r"first\.samples: expected a whole number, got 1"),
            (HEAD + "epochs = -1", r"first\.epochs: expected a number above 0, got -1"),
            (HEAD + 'lr = "fast"', r"lr: expected a number or \"auto\", got 'fast'"),
            (
                HEAD + "lr = inf",
                r"first\.lr: expected a number that is finite.*got inf",
            ),
            (HEAD + "lr_scale = nan", r"first\.lr_scale: expected a number .*got nan"),
            (HEAD + 'consolidate = "x"', r"consolidate: expected true or false, got"),
            (HEAD + 'domain = "logic"', r'at least one form for the domain "logic"'),
            (HEAD + FORM.replace("domain", "file"), r"expected a domain for the forms"),
            (
                HEAD + 'file = "a"\n' + FORM,
                r"first: expected a domain or a file, got b",
            ),
            (HEAD + HEAD[14:], r'phases: expected no name twice, got two .* "first"'),
            (
                HEAD + '[[phases]]\nname = "other"\nsource = "first"',
                r'phases: expected no source twice, got two phases with "first"',
            ),
        ],
    )
    def test_what_cannot_be_is_refused(self, read, text, message):
        """
        The message names the file and the key, and says what to do.
        """
        with pytest.raises(ConfigError, match=rf"mine\.toml: .*{message}"):
            read(text)

    @pytest.mark.parametrize(
        ("form", "message"),
        [
            ('answer = "a"', r"forms\.1\.prompt: expected a value, got none"),
            ('prompt = " "\nanswer = "a"', r"forms\.1\.prompt: expected text, got ' '"),
            ('prompt = "a"\nanswer = ""', r"forms\.1\.answer: expected text, got ''"),
            ('prompt = "{"\nanswer = "a"', r"prompt: expected nothing in braces but"),
            ('prompt = "}"\nanswer = "a"', r"prompt: expected nothing in braces but"),
            (
                'prompt = "{}"\nanswer = "a"',
                r"\{\} is not a bare name\); double a brace",
            ),
            ('prompt = "{0}"\nanswer = "a"', r"\{0\} is not a bare name"),
            ('prompt = "{a.b}"\nanswer = "a"', r"\{a\.b\} is not a bare name"),
            ('prompt = "{a[0]}"\nanswer = "a"', r"\{a\[0\]\} is not a bare name"),
            ('prompt = "{a!r}"\nanswer = "a"', r"\{a\} is not a bare name"),
            ('prompt = "{a:>9}"\nanswer = "a"', r"\{a\} is not a bare name"),
            ('prompt = "a"\nanswer = "a"\nlanguage = "English"', r"code of a language"),
            (
                'prompt = "a"\nanswer = "a"\nlang = "it"',
                r"mean phases.*\.language\?",
            ),
        ],
    )
    def test_a_form_that_cannot_be_is_refused(self, read, form, message):
        text = f'{HEAD}domain = "logic"\n[[phases.forms]]\n{form}\n'

        with pytest.raises(
            ConfigError, match=rf"mine\.toml: .*phases\.first\..*{message}"
        ):
            read(text)

    @pytest.mark.parametrize("extra", ["", 'when = "hard"'])
    def test_a_form_that_nothing_reaches_is_refused(self, read, extra):
        """
        One before it, for all items of its language, takes whatever it is for.
        """
        later = f'[[phases.forms]]\nprompt = "a"\nanswer = "b"\n{extra}\n'

        with pytest.raises(ConfigError, match=r"got form 2, all of whose items form 1"):
            read(HEAD + FORM + later)

    def test_every_fault_is_named_at_once(self, read):
        with pytest.raises(ConfigError, match=r"samples.*; .*mine\.toml: .*epochs"):
            read(HEAD + "samples = 0\nepochs = 0")

    def test_a_file_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(ConfigError, match=r"none\.toml, got: No such.*four_phases"):
            read_curriculum(tmp_path / "none.toml")

    def test_text_that_is_not_utf8_is_refused(self, tmp_path):
        file = tmp_path / "odd.toml"
        file.write_bytes(b'name = "\xff"')

        with pytest.raises(
            ConfigError, match=r"odd\.toml: expected TOML, got: 'utf-8'"
        ):
            read_curriculum(file)


class TestBuiltin:
    def test_there_is_one_for_each_domain(self):
        assert set(builtins()) >= set(DOMAINS)

    @pytest.mark.parametrize("name", builtins())
    def test_each_is_named_as_its_file(self, name):
        assert builtin(name).name == name

    def test_another_is_refused(self):
        with pytest.raises(ConfigError, match=r"one of .*logic.*, got '\.\./logic'"):
            builtin("../logic")

    @pytest.mark.parametrize("name", DOMAINS)
    def test_each_has_four_phases_and_folds_once(self, name):
        curriculum = builtin(name)
        phases = curriculum.phases

        assert curriculum.name == name
        assert [phase.samples for phase in phases] == [2000, 1500, 1500, 1000]
        assert [phase.epochs for phase in phases] == [3, 3, 3, 2]
        assert [phase.lr_scale for phase in phases] == [1, 0.5, 0.25, 0.1]
        assert [phase.consolidate for phase in phases] == [False, True, False, False]
        assert {phase.domain for phase in phases} == {DOMAINS[name].name}

    @pytest.mark.parametrize("name", DOMAINS)
    def test_every_item_has_a_short_text_in_every_phase(self, name):
        rng, domain = Random(0), DOMAINS[name]
        items = [domain.draw(rng) for _ in range(200)]

        for phase in builtin(name).phases:
            for language in {form.language for form in phase.forms}:
                for item in items:
                    text = render(phase, item.fields, item.when, language)
                    size = len((text.prompt + text.completion).encode())

                    assert size < MAX_BYTES
                    assert text.completion == text.completion.strip()

    @pytest.mark.parametrize("name", DOMAINS)
    def test_every_form_is_used_by_some_item(self, name):
        rng, domain = Random(1), DOMAINS[name]
        items = [domain.draw(rng) for _ in range(200)]

        for phase in builtin(name).phases:
            kinds = {(form.language, form.when) for form in phase.forms}
            whens = {item.when for item in items}

            assert {when for _, when in kinds} <= whens | {""}

    @pytest.mark.parametrize("name", ["logic", "code"])
    def test_questions_are_asked_as_the_first_phase_teaches(self, name):
        [form] = builtin(name).phases[0].forms
        before = form.prompt.split("{")[0]

        for question in DOMAINS[name].ask(Random(0), 9, set()):
            assert question.prompt.startswith(before)

    @pytest.mark.parametrize("name", DOMAINS)
    def test_an_answer_in_any_form_that_is_taught_comes_to_its_end(self, name):
        """
        Also on the smallest vocabulary: who has lost the form that was asked for, and
        answers in the longest, is graded on all of it and not on its beginning.
        """
        tokenizer = AutoTokenizer.from_pretrained(NANO)
        rng = Random(0)
        items = [DOMAINS[name].draw(rng) for _ in range(300)]
        answers = [
            render(phase, item.fields, item.when, language).completion
            for phase in builtin(name).phases
            for language in {form.language for form in phase.forms}
            for item in items
        ]
        longest = max(len(tokenizer.encode(answer)) for answer in answers)

        for question in DOMAINS[name].ask(Random(0), 9, set()):
            assert question.max_new_tokens > longest

    @pytest.mark.parametrize("language", ["en", "it"])
    @pytest.mark.parametrize("at", [2, 3])
    def test_what_is_delegated_is_a_call_that_the_tool_answers(self, at, language):
        """
        A model learns the very line that is answered while it writes.
        """
        rng, phase = Random(0), builtin("four_phases").phases[at]
        items = [DOMAINS["four_phases"].draw(rng) for _ in range(100)]
        for item in items:
            text = render(phase, item.fields, item.when, language).completion
            call = call_in(text)

            assert (call is not None) == (item.when == "hard")
            if call:
                answered, fault = with_result(text, call)
                assert (text.startswith(answered), fault) == (True, None)

    def test_arithmetic_reads_as_it_should(self):
        fields = {
            "expression": "847 * 93",
            "value": "78771",
            "approx": "about 80,000",
            "complexity": "medium",
        }
        texts = [
            render(phase, fields, "hard", "en")
            for phase in builtin("four_phases").phases
        ]

        assert texts == [
            Completion("Calculate: 847 * 93 =", "78771"),
            Completion("Estimate: 847 * 93 =", "about 80,000 (exactly: 78771)"),
            Completion(
                "Analyze: 847 * 93",
                "Complexity: medium\nDecision: DELEGATE TO TOOL\n"
                "Reason: too hard to be sure of\nTool: 847 * 93 = 78771",
            ),
            Completion(
                "Solve: 847 * 93",
                "Step 1 - Intuition: about 80,000\n"
                "Step 2 - Routing: DELEGATE (medium)\n"
                "Step 3 - Tool: 847 * 93 = 78771\n"
                "Step 4 - Validation: 78771 fits about 80,000: VALID",
            ),
        ]
