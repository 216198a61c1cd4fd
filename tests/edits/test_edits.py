"""The wrong edits of the source that ``mutants.py`` makes are ones that can be made."""

import ast

from tests import mutants


def test_every_wrong_edit_is_a_change_of_the_source_as_it_is() -> None:
    wrong, seen = [], set()
    for edit in mutants.edits():
        text = (mutants.ROOT / mutants.SOURCE / edit.file).read_text()
        try:
            ast.parse(edit.applied(text))
        except (ValueError, SyntaxError) as error:
            wrong.append(str(error))
        wrong += [f"{edit.file}: no {test}" for test in edit.tests if not (mutants.ROOT / test).exists()]
        wrong += [f"{edit} changes nothing"] if edit.old == edit.new else []
        seen.add((edit.file, edit.old, edit.new))
    assert not wrong, "\n".join(wrong)
    assert len(seen) == len(list(mutants.edits())) > 300


def test_an_edit_within_functions_gives_their_new_code_and_one_outside_of_them_none() -> None:
    old = "LIMIT = 2\n\n\nclass A:\n    def f(self, x):\n        return [y + 1 for y in x]\n"
    changed = mutants.changed_functions(old, old.replace("y + 1", "y - 1"))
    assert changed is not None and list(changed) == [("A.f", 6)]
    assert mutants.changed_functions(old, old.replace("= 2", "= 3")) is None
