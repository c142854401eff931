// Text on a 2D canvas above the 3D one: crisp at every pixel ratio, one element for all labels.
export class Labels {
  constructor(parent) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "labels";
    this.canvas.setAttribute("aria-hidden", "true");
    parent.append(this.canvas);
    this.context = this.canvas.getContext("2d");
  }

  resize(width, height, ratio) {
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.size = [width, height];
    this.ratio = ratio;
  }

  // `items`: {x, y, text, color, size, weight, style, alpha} in CSS pixels, drawn in order.
  draw(items, halo) {
    const pen = this.context;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, ...this.size);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    for (const { x, y, text, color, size = 13, weight = 500, style = "normal", alpha = 1 } of items) {
      pen.font = `${style} ${weight} ${size}px system-ui, -apple-system, "Segoe UI", sans-serif`;
      pen.globalAlpha = alpha;
      pen.lineWidth = 3.5;
      pen.strokeStyle = halo;
      pen.strokeText(text, x, y);
      pen.fillStyle = color;
      pen.fillText(text, x, y);
    }
  }
}
