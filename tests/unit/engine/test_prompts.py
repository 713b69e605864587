from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.prompts import Message, render
from leanvibe_lsp.errors import ModelFormatError
from tests.support.engines import SpecialTokenizer

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PHI3 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '<|user|>\n' + message['content'] + '<|end|>\n<|assistant|>\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
)
REFUSES_SYSTEM = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
SPECIALS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<s>",
    "</s>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
    "</think>",
    "<｜User｜>",
)
TOKENIZER = SpecialTokenizer(*SPECIALS)
TALK = (Message("system", "Be brief."), Message("user", "Hello"))


def loaded(template: str, *, add_bos: bool = False, bos: str = "<s>") -> Loaded:
    return Loaded(4_096, 0, "cpu", TOKENIZER, template, {"bos_token": bos}, add_bos)


def show(template: str, *messages: Message, add_bos: bool = False) -> str:
    return TOKENIZER.show(render(loaded(template, add_bos=add_bos), messages))


def test_chatml() -> None:
    """ChatML: each message between its special tokens, and the assistant's turn opened."""
    assert show(CHATML, *TALK) == (
        "⟦<|im_start|>⟧system\nBe brief.⟦<|im_end|>⟧\n⟦<|im_start|>⟧user\nHello⟦<|im_end|>⟧\n⟦<|im_start|>⟧assistant\n"
    )


def test_a_template_that_drops_system_messages() -> None:
    """Phi-3's template says nothing for a system message: it goes to the head of the first user message."""
    assert show(PHI3, *TALK) == "⟦<s>⟧⟦<|user|>⟧\nBe brief.\n\nHello⟦<|end|>⟧\n⟦<|assistant|>⟧\n"


def test_a_template_that_refuses_system_messages() -> None:
    """A template that raises for a system message gets it inside the first user message; later turns stay."""
    assert show(REFUSES_SYSTEM, *TALK, Message("assistant", "Hi"), Message("user", "More")) == (
        "⟦<s>⟧⟦<start_of_turn>⟧user\nBe brief.\n\nHello⟦<end_of_turn>⟧\n"
        "⟦<start_of_turn>⟧assistant\nHi⟦<end_of_turn>⟧\n⟦<start_of_turn>⟧user\nMore⟦<end_of_turn>⟧\n"
        "⟦<start_of_turn>⟧model\n"
    )


@pytest.mark.parametrize("special", ["[INST]", "[/INST]", "</think>", "<｜User｜>", "</s>"])
def test_special_tokens_of_every_spelling(special: str) -> None:
    """What the template writes is looked up as a special token, whichever brackets a family uses."""
    assert show(special + "{{ messages[0]['content'] }}<not_special>[NOT]", Message("user", "a < b [1]")) == (
        f"⟦{special}⟧a < b [1]<not_special>[NOT]"
    )


def test_the_beginning_is_the_templates_own() -> None:
    """As with `apply_chat_template`: the template writes the beginning of a text, or there is none."""
    assert show(PHI3, Message("user", "x"), add_bos=True).startswith("⟦<s>⟧⟦<|user|>⟧")
    assert show(CHATML, Message("user", "x"), add_bos=True).startswith("⟦<|im_start|>⟧")


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        ("m.content", "[ \t a b \n]"),
        ("m.content | trim", "[a b]"),
        ("m.content.strip()", "[a b]"),
        ("m.content.lstrip()", "[a b \n]"),
        ("m['content'].rstrip()", "[ \t a b]"),
    ],
)
def test_a_template_that_trims_trims_the_message(write: str, expected: str) -> None:
    """White space around a message goes where the template says so, and stays where it does not."""
    template = "{% for m in messages %}[{{ " + write + " }}]{% endfor %}"
    assert show(template, Message("user", " \t a b \n")) == expected


def test_an_empty_message_is_empty_to_the_template() -> None:
    """`if` sees it; one of white space is kept as it is."""
    template = "{% for m in messages %}{{ m.content or '-' }}|{% endfor %}"
    assert show(template, Message("user", ""), Message("assistant", " "), Message("user", "x")) == "-| |x|"


_HOSTILE = st.lists(
    st.sampled_from(
        [*SPECIALS, "\ue000", "\ue0000\ue001", "\ue0001\ue001", "{{ bos_token }}", "{% endfor %}", "\n", " "]
    )
    | st.text(max_size=8),
    max_size=8,
).map("".join)


@given(_HOSTILE, _HOSTILE, st.sampled_from([CHATML, PHI3, REFUSES_SYSTEM]))
def test_user_text_never_becomes_special(system: str, user: str, template: str) -> None:
    """The special tokens are those of the same talk with harmless texts, and the texts stand there, trimmed or not."""
    ids = render(loaded(template), (Message("system", system), Message("user", user)))
    harmless = render(loaded(template), TALK)
    special = set(TOKENIZER.ids.values())
    assert [one for one in ids if one in special] == [one for one in harmless if one in special]
    plain = "".join(chr(one) for one in ids if one not in special)
    assert system.strip() in plain
    assert user.strip() in plain


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ 1 / 0 }}",
        "{{ [][1].x }}",
        "{{ range(999999999) | list }}",
        "{{ 'a' | no_such_filter }}",
        "{% for m in messages %}",
        "{{ '%d' % 'x' }}",
        "{{ 'x'.encode('no-such-codec') }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ '\ue0009\ue001' }}{% for m in messages %}{{ m.content }}{% endfor %}",
        "constant text",
        "{{ raise_exception('no') }}",
    ],
)
@pytest.mark.parametrize("messages", [TALK, TALK[1:]], ids=["system", "user"])
def test_a_bad_template_is_an_error_with_a_name(template: str, messages: tuple[Message, ...]) -> None:
    """Templates come with a model: what breaks out, fails or forges a message is ModelFormatError, and nothing else."""
    with pytest.raises(ModelFormatError) as caught:
        render(loaded(template), messages)
    assert caught.value.next_step


def test_the_cause_of_a_template_that_fails_is_said() -> None:
    """Also without a system message, the template's own words reach the person."""
    with pytest.raises(ModelFormatError, match="roles must alternate"):
        show(REFUSES_SYSTEM, Message("assistant", "I begin"))


def test_no_template() -> None:
    """A base model has no chat template: it cannot be asked, and the error says what to choose."""
    with pytest.raises(ModelFormatError, match="no chat template") as caught:
        render(loaded(""), TALK)
    assert "instruct" in caught.value.next_step
