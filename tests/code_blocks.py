"""The python blocks of a markdown file, each with the line where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ("CodeBlock", "code_blocks")

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)")
_GOES_ON = re.compile(r"<!-- goes on -->")
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>\S.*?) -->")


@dataclass(frozen=True)
class CodeBlock:
    """One python block.

    ``reason`` says why it is not run, where it is not; ``before`` is the one that it goes on from.
    """

    path: Path
    line: int
    code: str
    reason: str | None
    before: CodeBlock | None = None

    def story(self) -> list[CodeBlock]:
        """The blocks to run one after the other, itself the last."""
        return [*(self.before.story() if self.before is not None else []), self]

    def compiled(self) -> object:
        """Its code, on the lines that it has in the document, so that tracebacks lead there."""
        return compile("\n" * self.line + self.code, str(self.path), "exec", dont_inherit=True)


def code_blocks(path: Path) -> list[CodeBlock]:
    """All python blocks of a document.

    A block right behind ``<!-- not run: reason -->`` carries the reason; one behind
    ``<!-- goes on -->`` has the names of the block before it.
    """
    blocks: list[CodeBlock] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    remark, number = "", 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            remark = lines[number] if lines[number].strip() else remark
            number += 1
            continue
        end = _closing(lines, number, len(fence["indent"]))
        if fence["language"] == "python":
            code = "\n".join(line[len(fence["indent"]) :] for line in lines[number + 1 : end])
            told = _NOT_RUN.search(remark)
            before = blocks[-1] if blocks and _GOES_ON.search(remark) else None
            blocks.append(CodeBlock(path, number + 1, code, told["reason"] if told else None, before))
        remark, number = "", end + 1
    return blocks


def _closing(lines: list[str], start: int, indent: int) -> int:
    for number in range(start + 1, len(lines)):
        if lines[number].rstrip() == " " * indent + "```":
            return number
    raise ValueError(f"line {start + 1}: the block is never closed")
