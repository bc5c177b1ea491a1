"""Reduces a Jinja chat template to fixed pieces per role, and proves that they say the same.

text = begin + sum over messages of prefix(role) + content + suffix(role) [+ generation]; see
include/lora/tokenizer/chat.h. The pieces are found by rendering marked messages, and the result is compared
with the template on chats of other shapes.
"""

from transformers.utils.chat_template_utils import render_jinja_template

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
_MARKS = {USER: "«question»", ASSISTANT: "«answer»", SYSTEM: "«rules»"}
_SYSTEM_GAP = "\n\n"  # between a system text and the first user's, for templates without a system role


class Irreducible(Exception):
    """The template is no sequence of fixed pieces."""


class Template:
    """A Jinja template with its special tokens."""

    def __init__(self, text, specials):
        self.text, self.specials = text, specials
        if "strftime" in text:
            raise Irreducible("it prints the date")

    def render(self, messages, generation=False):
        """Text of a chat; None if the template refuses it."""
        conversation = [{"role": role, "content": content} for role, content in messages]
        try:
            rendered, _ = render_jinja_template(
                [conversation], chat_template=self.text, add_generation_prompt=generation, **self.specials
            )
        except Exception:  # by raise_exception(), or because the template's code cannot cope
            return None
        return rendered[0]

    def pieces(self, *roles):
        """What stands around the contents of marked messages: one piece more than roles."""
        text = self.render([(role, _MARKS[role]) for role in roles])
        if text is None:
            raise Irreducible(f"it refuses a chat of {', '.join(roles)}")
        pieces = []
        for role in roles:
            before, mark, text = text.partition(_MARKS[role])
            if not mark:
                raise Irreducible(f"it does not print the {role}'s words as they are")
            pieces.append(before)
        return [*pieces, text]


def _cut_start(text, start):
    if not text.startswith(start):
        raise Irreducible(f"pieces overlap: {text!r} does not start with {start!r}")
    return text[len(start) :]


def _cut_end(text, end):
    if not text.endswith(end):
        raise Irreducible(f"pieces overlap: {text!r} does not end with {end!r}")
    return text[: len(text) - len(end)]


def reduce(template_text, specials):
    """The pieces as a dict for `chat` in the metadata; Irreducible if they do not reproduce the template."""
    template = Template(template_text, specials)
    chat = _find_pieces(template)
    _prove(template, chat)
    return chat


def _find_pieces(template):
    lead, user_suffix = template.pieces(USER)
    _, answer_lead, answer_suffix = template.pieces(USER, ASSISTANT)
    between = template.pieces(USER, ASSISTANT, USER)[2]
    user_prefix = _cut_start(between, answer_suffix)
    roles = {
        USER: {"prefix": user_prefix, "suffix": user_suffix},
        ASSISTANT: {"prefix": _cut_start(answer_lead, user_suffix), "suffix": answer_suffix},
    }
    for role, piece in roles.items():
        piece["trim"] = _trims(template, role)
    question = [(USER, _MARKS[USER])]
    chat = {
        "begin": _cut_end(lead, user_prefix),
        "roles": roles,
        "generation": _cut_start(template.render(question, True) or "", template.render(question)),
        "default_system": "",
        "system_in_first_user": False,
    }
    _add_system(template, chat)
    return chat


def _trims(template, role):
    chat = [(USER, f" {_MARKS[USER]}\n")] if role == USER else [(USER, "x"), (role, f" {_MARKS[role]}\n")]
    return f" {_MARKS[role]}\n" not in (template.render(chat) or "")


def _add_system(template, chat):
    """Adds the system role: one of its own, the first user's, or none if the template refuses one."""
    if template.render([(SYSTEM, _MARKS[SYSTEM]), (USER, _MARKS[USER])]) is None:
        return
    lead, middle, _ = template.pieces(SYSTEM, USER)
    user_prefix = chat["roles"][USER]["prefix"]
    if lead == chat["begin"] + user_prefix and middle == _SYSTEM_GAP:
        chat["system_in_first_user"] = True
        return
    suffix = _cut_end(middle, user_prefix)
    padded = template.render([(SYSTEM, f" {_MARKS[SYSTEM]}\n"), (USER, "x")])
    without = chat["begin"]  # of a chat without system message: bos, or bos and a default system text
    bos = template.specials.get("bos_token", "")
    begin = bos if bos and lead.startswith(bos) and not user_prefix.startswith(bos) else ""
    prefix = _cut_start(lead, begin)
    chat["begin"] = begin
    chat["roles"][SYSTEM] = {"prefix": prefix, "suffix": suffix, "trim": f" {_MARKS[SYSTEM]}\n" not in padded}
    if without != begin:
        chat["default_system"] = _cut_end(_cut_start(without, lead), suffix)


def apply(chat, messages, generation=False):
    """The text that the pieces say; the same rule as encode_chat in src/tokenizer/chat.cpp.

    White space around a message is trimmed as its role says; a system text in a user's message never is.
    """
    messages, before = list(messages), ""
    if chat["system_in_first_user"] and messages[0][0] == SYSTEM:
        before = messages.pop(0)[1] + _SYSTEM_GAP
    elif chat["default_system"] and messages[0][0] != SYSTEM:
        messages.insert(0, (SYSTEM, chat["default_system"]))
    text = chat["begin"]
    for role, content in messages:
        piece = chat["roles"][role]
        text += piece["prefix"] + before + (content.strip() if piece["trim"] else content) + piece["suffix"]
        before = ""
    return text + (chat["generation"] if generation else "")


def _probe_chats():
    """Chats of other shapes than those the pieces were read from."""
    rules, question = (SYSTEM, "Be brief.\nBe kind."), (USER, "What is 7 × 6?")
    answer = (ASSISTANT, "42.\n\nIt is even.")
    yield [question]
    yield [question, answer]
    yield [question, answer, (USER, "  why?\n"), (ASSISTANT, " because \n")]
    yield [question, answer, question, answer, (USER, "{{ 'x' }} <b>&amp;</b>")]
    yield [rules, question]
    yield [rules, question, answer, (USER, "größer — 日本語 🎉"), answer]
    yield [(SYSTEM, " padded \n"), (USER, "\ttab"), (ASSISTANT, "")]
    yield [(USER, ""), answer]


def _prove(template, chat):
    proven = 0
    for messages in _probe_chats():
        for generation in (False, True) if messages[-1][0] == USER else (False,):
            expected = template.render(messages, generation)
            if expected is None:  # a chat that the template refuses is none of ours
                continue
            if messages[0][0] == SYSTEM and SYSTEM not in chat["roles"] and not chat["system_in_first_user"]:
                raise Irreducible("its system messages have no fixed form")
            if apply(chat, messages, generation) != expected:
                raise Irreducible(f"fixed pieces do not reproduce a chat of {len(messages)} messages")
            proven += 1
    if proven < 5:
        raise Irreducible("it refuses nearly every chat")
