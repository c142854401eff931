"""A place for the visitor's files: they come in pieces, so that none is too large for the wire."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import param

from hamexplorer.app.browser import BrowserComponent

__all__ = ["MAX_FILES", "DropZone"]

MAX_FILES = 2000
"""Most files of one upload (those of a dropped folder)."""


@dataclass
class _Upload:
    """What has arrived of the files that are being sent."""

    turn: int
    names: list[str]
    sizes: list[int]
    pieces: list[list[bytes]] = field(default_factory=list)
    received: int = 0

    @property
    def total(self) -> int:
        return sum(self.sizes)

    def contents(self) -> dict[str, bytes] | None:
        """By name, or None if something is missing."""
        files = {n: b"".join(p) for n, p in zip(self.names, self.pieces, strict=True)}
        self.pieces.clear()
        return files if [len(data) for data in files.values()] == self.sizes else None


class DropZone(BrowserComponent):
    """A place to drop files or a folder on, or to click for files.

    With ``everywhere`` the whole window takes drops too. Nothing is sent of files that are
    together larger than ``max_bytes``. ``received`` is called with the contents by name,
    ``refused`` with a sentence.
    """

    max_bytes = param.Integer(default=20_000_000)
    dark = param.Boolean(default=False)
    everywhere = param.Boolean(default=True)
    label = param.String(default="Open a file", doc="For those who cannot see it.")
    hint = param.String(default="CIF, POSCAR, XYZ, JSON, our .h5")
    tall = param.Boolean(default=False)
    message = param.Dict(
        default=None,
        allow_None=True,
        doc="""The browser's latest: ``kind`` (begin, piece, end, failed), ``turn`` (grows with
        every drop), and ``files`` (name, size), or ``file`` (its number) and ``data`` (base64).""",
    )

    _priority_changes: ClassVar[list[str]] = ["message"]

    def __init__(
        self,
        received: Callable[[dict[str, bytes]], None],
        refused: Callable[[str], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._received = received
        self._refused = refused
        self._upload: _Upload | None = None
        self.param.watch(self._arrived, "message")

    def _arrived(self, event: param.parameterized.Event) -> None:
        message = event.new
        if not message:
            return
        self.message = None  # the page need not carry the piece along
        turn = message.get("turn")
        if message.get("kind") == "begin":
            self._upload = self._begun(message)
        elif self._upload is not None and turn == self._upload.turn:
            self._follow(message, self._upload)
        self._send_msg({"turn": turn, "more": self._upload is not None})

    def _begun(self, message: Mapping[str, Any]) -> _Upload | None:
        """The upload that begins, unless it is to be refused."""
        try:
            names = [str(file["name"]) for file in message["files"]]
            sizes = [int(file["size"]) for file in message["files"]]
            upload = _Upload(int(message["turn"]), names, sizes, [[] for _ in names])
        except (KeyError, TypeError, ValueError):
            return None  # another client than our page
        if not names or min(sizes) < 0:
            return None
        if len(names) > MAX_FILES:
            self._refused(f"{len(names)} files; up to {MAX_FILES} are taken at once.")
        elif len(set(names)) < len(names):
            self._refused("Two of the files have the same name: drop those of one folder.")
        elif upload.total > self.max_bytes:
            self._refused(
                f"{_called(names)}: {upload.total / 1e6:.0f} MB; up to {self.max_bytes / 1e6:.0f} "
                "MB are taken here. Open more on the command line: hamexplorer app FILE"
            )
        else:
            return upload
        return None

    def _follow(self, message: Mapping[str, Any], upload: _Upload) -> None:
        kind = message.get("kind")
        if kind == "piece":
            try:
                data = base64.b64decode(message["data"], validate=True)
                pieces = upload.pieces[int(message["file"])]
            except (KeyError, IndexError, binascii.Error, ValueError, TypeError):
                kind = "failed"
            else:
                pieces.append(data)
                upload.received += len(data)
                if upload.received <= upload.total:
                    return
        self._upload = None
        files = upload.contents() if kind == "end" else None
        if files is None:
            self._refused(f"{_called(upload.names)}: the upload was damaged on its way.")
        else:
            self._received(files)

    _esm = """
const PIECE = 3 * 1024 * 1024

function render({model, el}) {
  el.innerHTML = `
    <style>
      .zone { display: flex; flex-direction: column; align-items: center; gap: 2px;
        border: 1.5px dashed var(--line); border-radius: 8px; padding: 10px 8px; cursor: pointer;
        font: 14px Roboto, sans-serif; color: var(--ink); text-align: center; }
      .zone { --line: #9aa3ad; --ink: #1f2933; --soft: #5b6570; --over: #e7f1fb; }
      .zone.dark { --line: #6b747e; --ink: #e6e8eb; --soft: #a3abb5; --over: #1c2f42; }
      .zone:hover, .zone.over { border-color: #2f86d1; background: var(--over); }
      .zone:focus-visible { outline: 2px solid #2f86d1; outline-offset: 2px; }
      .zone.tall { min-height: 180px; justify-content: center; }
      .zone small { color: var(--soft); font-size: 12px; }
      input { display: none; }
    </style>
    <div class="zone" role="button" tabindex="0">
      <span>Drop files, or <u>choose them</u></span>
      <small></small>
      <input type="file" multiple>
    </div>`
  const zone = el.querySelector(".zone")
  const input = el.querySelector("input")
  const words = el.querySelector("small")
  zone.classList.toggle("tall", model.get("tall"))
  zone.setAttribute("aria-label", model.get("label"))
  words.textContent = model.get("hint")
  const everywhere = model.get("everywhere")
  const theme = () => zone.classList.toggle("dark", model.get("dark"))
  theme()
  model.on("change:dark", theme)

  // --- sending, one piece after the other, each once the last was taken
  let turn = 0
  let answer = null
  model.on("msg:custom", (event) => { if (answer && event.turn === turn) answer(event.more) })
  const hand = (message) => new Promise((taken) => {
    answer = taken
    model.set("message", {turn, ...message})
    model.save_changes()
  })
  const encoded = (blob) => new Promise((done, failed) => {
    const reader = new FileReader()
    reader.onload = () => {
      const text = String(reader.result)
      done(text.slice(text.indexOf(",") + 1))
    }
    reader.onerror = () => failed(reader.error)
    reader.readAsDataURL(blob)
  })

  async function send(files) {
    if (!files.length) return
    const mine = ++turn
    const total = files.reduce((sum, file) => sum + file.size, 0)
    let sent = 0
    const list = files.map((file) => ({name: file.name, size: file.size}))
    try {
      if (!await hand({kind: "begin", files: list})) return
      for (const [number, file] of files.entries()) {
        for (let start = 0; start < file.size; start += PIECE) {
          const piece = file.slice(start, start + PIECE)
          const data = await encoded(piece)
          if (turn !== mine || !await hand({kind: "piece", file: number, data})) return
          sent += piece.size
          if (total > 2 * PIECE) words.textContent = `Sending, ${Math.round(100 * sent / total)} %`
        }
      }
      if (turn === mine) await hand({kind: "end"})
    } catch {
      if (turn === mine) await hand({kind: "failed"})
    } finally {
      if (turn === mine) words.textContent = model.get("hint")
    }
  }

  // --- files of folders, of a folder that is alone in one, and of ABACUS's results in one
  const file_of = (entry) => new Promise((done, failed) => entry.file(done, failed))
  async function entries_of(folder) {
    const reader = folder.createReader()
    const found = []
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed))
      if (!some.length) return found.filter((entry) => !entry.name.startsWith("."))
      found.push(...some)
    }
  }
  async function files_in(folder) {
    const entries = await entries_of(folder)
    const files = entries.filter((entry) => entry.isFile)
    if (!files.length && entries.length === 1) return files_in(entries[0])
    const results = entries.filter((entry) => entry.isDirectory && entry.name.startsWith("OUT."))
    const inside = await Promise.all(results.map(files_in))
    return [...await Promise.all(files.map(file_of)), ...inside.flat()]
  }
  async function send_dropped(carried) {
    // what is carried is there only until the first pause
    const plain = [...carried.files]
    const entries = [...carried.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean)
    if (!entries.some((entry) => entry.isDirectory)) return send(plain)
    const parts = await Promise.all(
      entries.map((entry) => entry.isDirectory ? files_in(entry) : file_of(entry)))
    return send(parts.flat())
  }

  zone.addEventListener("click", () => input.click())
  zone.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); input.click() }
  })
  input.addEventListener("click", (event) => event.stopPropagation())
  input.addEventListener("change", () => { send([...input.files]); input.value = "" })

  const hasFile = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files")
  const over = (event) => {
    if (!hasFile(event)) return
    event.preventDefault()
    if (!everywhere) event.stopPropagation()  // not for the place that takes all others
    zone.classList.add("over")
  }
  const leave = (event) => {
    const inside = everywhere ? event.relatedTarget : zone.contains(event.relatedTarget)
    if (!inside) zone.classList.remove("over")
  }
  const drop = (event) => {
    if (!hasFile(event)) return
    event.preventDefault()
    if (!everywhere) event.stopPropagation()
    zone.classList.remove("over")
    send_dropped(event.dataTransfer)
  }
  const listeners = {dragover: over, dragleave: leave, drop}
  const area = everywhere ? window : zone
  for (const [name, listener] of Object.entries(listeners)) area.addEventListener(name, listener)
  return () => {
    turn += 1
    for (const [name, listener] of Object.entries(listeners)) {
      area.removeEventListener(name, listener)
    }
  }
}
export default {render}
"""


def _called(names: list[str]) -> str:
    return names[0][:80] if len(names) == 1 else f"{len(names)} files"
