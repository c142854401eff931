"""What only the visitor's browser can do: take a dropped file, save one, draw a plot as SVG."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import param
from panel.custom import AnyWidgetComponent

__all__ = ["Downloads", "DropZone"]


class _BrowserComponent(AnyWidgetComponent):
    """JavaScript of our own that imports nothing.

    All of the app's components are of this kind, the viewer too: Panel 1.9 keeps one rendering
    function for JSComponent and AnyWidgetComponent together, so a page can hold only one kind.
    """

    __abstract = True

    @classmethod
    def _process_importmap(cls) -> dict[str, Any]:
        # The inherited one names React on a CDN.
        return {}


class DropZone(_BrowserComponent):
    """A place to drop a file on, or to click for one.

    With ``everywhere`` the whole window takes drops too. The browser refuses files above
    ``max_bytes`` before it sends anything.
    """

    max_bytes = param.Integer(default=20_000_000)
    dark = param.Boolean(default=False)
    everywhere = param.Boolean(default=True)
    label = param.String(default="Open a structure file", doc="For those who cannot see it.")
    hint = param.String(default="CIF, POSCAR, XYZ, JSON, our .h5")
    tall = param.Boolean(default=False)
    upload = param.Dict(
        default=None, allow_None=True, doc="The latest file: name, size, data (base64), count."
    )

    def __init__(
        self,
        received: Callable[[str, bytes], None],
        refused: Callable[[str], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._received = received
        self._refused = refused
        self.param.watch(self._arrived, "upload")

    def _arrived(self, event: param.parameterized.Event) -> None:
        msg = event.new
        if not msg:
            return
        self.upload = None  # the page need not carry the file along
        name, size = str(msg.get("name", "")), msg.get("size", 0)
        if "data" not in msg:
            self._refused(
                f"{name[:80]}: {size / 1e6:.0f} MB; files up to {self.max_bytes / 1e6:.0f} MB are "
                "taken here. Open a larger one on the command line: hamexplorer app FILE"
            )
            return
        try:
            data = base64.b64decode(msg["data"], validate=True)
        except (binascii.Error, ValueError, TypeError):
            self._refused(f"{name[:80]}: the upload was damaged on its way.")
            return
        if len(data) > self.max_bytes:  # another client than our page
            self._refused(f"{name[:80]}: more than {self.max_bytes / 1e6:.0f} MB.")
            return
        self._received(name, data)

    _esm = """
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
      <span>Drop a file, or <u>choose one</u></span>
      <small></small>
      <input type="file">
    </div>`
  const zone = el.querySelector(".zone")
  const input = el.querySelector("input")
  zone.classList.toggle("tall", model.get("tall"))
  zone.setAttribute("aria-label", model.get("label"))
  el.querySelector("small").textContent = model.get("hint")
  const everywhere = model.get("everywhere")
  const theme = () => zone.classList.toggle("dark", model.get("dark"))
  theme()
  model.on("change:dark", theme)
  let count = 0
  const hand = (upload) => {
    count += 1
    model.set("upload", {...upload, count})
    model.save_changes()
  }

  function send(file) {
    if (!file) return
    if (file.size > model.get("max_bytes")) {
      hand({name: file.name, size: file.size})
      return
    }
    const reader = new FileReader()
    reader.onload = () => {
      const text = String(reader.result)
      hand({name: file.name, size: file.size, data: text.slice(text.indexOf(",") + 1)})
    }
    reader.onerror = () => hand({name: file.name, size: file.size, data: "!"})
    reader.readAsDataURL(file)
  }
  zone.addEventListener("click", () => input.click())
  zone.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); input.click() }
  })
  input.addEventListener("click", (event) => event.stopPropagation())
  input.addEventListener("change", () => { send(input.files[0]); input.value = "" })

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
    send(event.dataTransfer.files[0])
  }
  const listeners = {dragover: over, dragleave: leave, drop}
  const area = everywhere ? window : zone
  for (const [name, listener] of Object.entries(listeners)) area.addEventListener(name, listener)
  return () => {
    for (const [name, listener] of Object.entries(listeners)) {
      area.removeEventListener(name, listener)
    }
  }
}
export default {render}
"""


class Downloads(_BrowserComponent):
    """Invisible; hands files to the visitor, and plots as the browser drew them."""

    def text(self, name: str, content: str) -> None:
        """Save ``content`` as a file called ``name``."""
        self._send_msg({"kind": "text", "name": name, "content": content})

    def data(self, name: str, content: bytes) -> None:
        """Save bytes as a file called ``name``."""
        encoded = base64.b64encode(content).decode()
        self._send_msg({"kind": "data", "name": name, "content": encoded})

    def picture(self, name: str, figure_id: str, kind: str) -> None:
        """Save the Bokeh figure of that model id as ``png`` or ``svg``."""
        self._send_msg({"kind": kind, "name": name, "figure": figure_id})

    _esm = """
function save(name, blob) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10000)
}

function view_of(id) {
  const found = window.Bokeh.index.find_one_by_id?.(id)
  if (found) return found
  const pending = [...window.Bokeh.index.roots]
  while (pending.length) {
    const view = pending.pop()
    if (view.model.id === id) return view
    pending.push(...view.children())
  }
  return null
}

function render({model, el}) {
  el.style.display = "none"
  model.on("msg:custom", (event) => {
    const message = event
    if (message.kind === "text") {
      save(message.name, new Blob([message.content], {type: "text/plain;charset=utf-8"}))
    } else if (message.kind === "data") {
      const bytes = Uint8Array.from(atob(message.content), (c) => c.charCodeAt(0))
      save(message.name, new Blob([bytes]))
    } else {
      const view = view_of(message.figure)
      if (!view) return
      if (message.kind === "svg") {
        const layer = view.export("svg", false)
        const text = layer.ctx.get_serialized_svg(true)
        save(message.name, new Blob([text], {type: "image/svg+xml"}))
      } else {
        view.export("png", true).canvas.toBlob((blob) => save(message.name, blob))
      }
    }
  })
}
export default {render}
"""
