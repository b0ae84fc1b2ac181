"""How a stage takes the branches of a group before it: as they come, or one of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from .drafts import Draft, Front, Link, flat
from .errors import DefinitionError, SignatureError
from .keeping import why_not_one_to_one, why_not_ordered
from .naming import place
from .operators.combine import CombineLatest, Zip
from .operators.distribute import Split
from .operators.protocol import StreamOperator
from .signature import needs_by_place, takes_by_place
from .stage import Call, Parameter, Stage
from .tree import GroupKind

__all__ = ("check_rows", "check_width", "zip_by_signature")

_BY_PLACE: Final = "positional_only"


def zip_by_signature(
    stage: Stage[Any, Any], call: Call, path: str, names: Sequence[str | None], kind: GroupKind
) -> Zip | None:
    """The zip that a stage's parameters ask for; ``None`` where items come as they come.

    Args:
        stage: The stage.
        call: Its parameters.
        path: Its place.
        names: The names of the branches before it, two or more.
        kind: What their group was written as.

    Raises:
        SignatureError: Its parameters fit neither.
    """
    if isinstance(stage.operator, StreamOperator) or not call.known:
        return None
    needed = needs_by_place(call)
    if len(needed) <= 1:
        return None
    where = place(path, stage.title)
    if len(needed) != len(names):
        raise SignatureError(
            f"{where}: it needs {len(needed)} arguments ({_listed(needed)}) and {len(names)} branches lead "
            f"into it ({_called(names)}); take one item, to get them as they come, or {len(names)}, to get "
            "one of each"
        )
    return _by_name_or_place(needed, names, kind, where)


def _by_name_or_place(
    needed: Sequence[Parameter], names: Sequence[str | None], kind: GroupKind, where: str
) -> Zip:
    wanted = {each.name for each in needed if each.kind != _BY_PLACE}
    known = {each for each in names if each is not None}
    if wanted == known and len(known) == len(names):
        return Zip(names=tuple(each for each in names if each is not None))
    shared = sorted(wanted & known)
    if shared:
        raise SignatureError(
            f"{where}: of its parameters ({_listed(needed)}) only {', '.join(shared)} "
            f"{'is a branch' if len(shared) == 1 else 'are branches'}, and the branches are "
            f"{_called(names)}; name all parameters after branches, or none"
        )
    if kind == "set":
        raise SignatureError(
            f"{where}: the branches of a set have no order, so its parameters ({_listed(needed)}) have to be "
            f"named after them: {_called(names)}; or write a tuple instead of the set"
        )
    return Zip()


def check_rows(where: str, front: Front, drafts: Sequence[Draft], links: Sequence[Link]) -> None:
    """Refuse to zip branches of one step by signature where their items would not stay in step.

    Args:
        where: The place of the stage that asks for it.
        front: The branches.
        drafts: All stages so far.
        links: All edges so far.

    Raises:
        DefinitionError: A branch may make more or fewer items than it takes, or in another order.
    """
    if not front.shared:
        return
    inside = set(flat(front.inside))
    feeds = Counter((link.target, link.port) for link in links)
    merging = {target for (target, _), count in feeds.items() if count > 1}
    openings = {link.source for link in links if link.target in inside and link.source not in inside}
    for number in sorted(inside | openings):
        draft = drafts[number]
        why = _why_uneven_choice(draft.stage)
        if number in inside:
            why = why_not_one_to_one(draft.stage, draft.call) or why_not_ordered(draft.stage) or why
            why = why or ("it merges branches" if number in merging else "")
        if why:
            raise _uneven(where, draft, why)
    for tails in front.tails:
        if len(tails) > 1:
            raise _uneven(where, drafts[tails[0]], "it is one of several that end its branch")


def check_width(stage: Stage[Any, Any], call: Call, path: str, rows: Draft, width: int) -> None:
    """Refuse a stage behind a zip or combine_latest whose rows cannot fill its parameters.

    Raises:
        SignatureError: The rows have too few or too many members, or others than it needs.
    """
    needed = needs_by_place(call)
    operator = rows.stage.operator
    if len(needed) < 2 or not isinstance(operator, Zip | CombineLatest) or stage.operator is not None:
        return
    where = place(path, stage.title)
    made = f"{rows.where} makes"
    if operator.names:
        missing = [each.name for each in needed if each.name not in operator.names]
        if missing:
            raise SignatureError(
                f"{where}: it needs {', '.join(missing)}, and {made} only {', '.join(operator.names)}; name "
                "its parameters after branches, or take the row as one item"
            )
    elif not len(needed) <= width <= takes_by_place(call):
        raise SignatureError(
            f"{where}: its parameters ({_listed(needed)}) do not fit, for {made} rows of {width}; take as "
            "many, or the row as one item"
        )


def _why_uneven_choice(stage: Stage[Any, Any]) -> str:
    chooses = stage.operator is not None and stage.operator.fans_out
    return "it does not send to every branch" if chooses and not isinstance(stage.operator, Split) else ""


def _uneven(where: str, culprit: Draft, why: str) -> DefinitionError:
    return DefinitionError(
        f"{where}: it takes one item of each branch, and these come from one step, but of {culprit.where} "
        f"this holds: {why}, so that items would meet that do not belong together; write zip_ before it if "
        "that is meant"
    )


def _listed(parameters: Sequence[Parameter]) -> str:
    return ", ".join(each.name for each in parameters)


def _called(names: Sequence[str | None]) -> str:
    return ", ".join(each or "one without a name" for each in names)
