"""What only the visitor's browser can do: save a file, draw a plot as SVG."""

from __future__ import annotations

import base64
from typing import Any

from panel.custom import AnyWidgetComponent

__all__ = ["BrowserComponent", "Downloads"]


class BrowserComponent(AnyWidgetComponent):
    """JavaScript of our own that imports nothing.

    All of the app's components are of this kind, the viewer too: Panel 1.9 keeps one rendering
    function for JSComponent and AnyWidgetComponent together, so a page can hold only one kind.
    """

    __abstract = True

    @classmethod
    def _process_importmap(cls) -> dict[str, Any]:
        # The inherited one names React on a CDN.
        return {}


class Downloads(BrowserComponent):
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
