// The widget: parameters of the Python class in, clicks and camera out.
import { Stage } from "./stage.js";
import { STYLE, THEMES } from "./theme.js";

const NO_WEBGL = "The crystal cannot be drawn: this browser offers no WebGL2. "
  + "Everything else on the page works without it.";
const CLICK_SLOP = 4; // CSS pixels a press may move and still be a click

const element = (tag, className, parent) => {
  const made = document.createElement(tag);
  made.className = className;
  parent.append(made);
  return made;
};

function hasWebGL() {
  const gl = document.createElement("canvas").getContext("webgl2");
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return gl !== null;
}

function dress(root, model) {
  const name = model.get("dark") ? "dark" : "light";
  for (const key of ["background", "text", "select"]) {
    root.style.setProperty(`--${key}`, THEMES[name][key]);
  }
  root.style.background = THEMES[name].background;
  root.dataset.theme = name;
  return name;
}

const spinOf = (model) => ({
  theta: model.get("spin_theta"),
  phi: model.get("spin_phi"),
  length: model.get("spin_length"),
  visible: model.get("spin_visible"),
  label: model.get("spin_label"),
  moments: model.get("moments")?.length ? model.get("moments") : model.get("scene").moments,
  axis: model.get("axis"),
});

class Viewer {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.clicks = 0;
    this.sent = "";
    this.stage = new Stage(root, {
      onDrawn: (stage) => this.#report(stage),
      onCamera: (state) => this.#sendCamera(state),
    });
    this.tip = element("div", "tip", root);
    this.tip.setAttribute("role", "status");
    this.#buttons();
    this.#pointer();
    this.#keyboard();
    this.watched = {
      scene: () => { this.#scene(); this.#spin(); },
      selected: () => this.#selected(),
      dark: () => this.stage.setTheme(dress(root, model)),
      labels: () => this.#labels(),
      toolbar: () => { this.bar.style.display = model.get("toolbar") ? "" : "none"; },
      view: () => this.#view(),
      camera: () => this.#camera(),
    };
    const turned = ["spin_theta", "spin_phi", "spin_length", "spin_visible", "spin_label",
      "moments", "axis"];
    for (const name of turned) {
      this.watched[name] = () => this.#spin();
    }
    for (const [name, act] of Object.entries(this.watched)) model.on(`change:${name}`, act);
    const once = ["dark", "scene", "selected", "labels", "toolbar", "camera"];
    for (const name of once) this.watched[name]();
  }

  #scene() {
    const scene = this.model.get("scene");
    const known = scene && scene.atoms;
    this.root.setAttribute("aria-label", known
      ? `${scene.description} Arrow keys turn it, plus and minus zoom, a, b and c look along the `
        + "lattice vectors, 0 resets the view."
      : "No crystal structure.");
    if (!known) return;
    this.stage.setScene(scene);
  }

  #spin() {
    const spin = spinOf(this.model);
    this.stage.setSpin(spin);
    this.root.dataset.spin = spin.visible ? `${spin.theta},${spin.phi}` : "";
    this.root.dataset.axis = (spin.axis ?? []).join(",");
  }

  #selected() {
    const sites = this.model.get("selected") || [];
    this.stage.setSelected(sites);
    this.root.dataset.selected = sites.join(",");
  }

  #labels() {
    const on = this.model.get("labels");
    this.stage.setLabelled(on);
    this.labelButton.setAttribute("aria-pressed", String(on));
  }

  #view() {
    const view = this.model.get("view");
    if (!view) return;
    this.#look(view);
    this.#set("view", "");
  }

  #look(view) {
    this.stage.look(view);
    this.#sendCamera(this.stage.cameraState());
  }

  #camera() {
    const state = this.model.get("camera");
    if (!state?.position || JSON.stringify(state) === this.sent) return;
    this.stage.setCamera(state);
  }

  #sendCamera(state) {
    this.sent = JSON.stringify(state);
    this.#set("camera", state);
  }

  #set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  // What tests and screen scrapers read; written after the picture it describes.
  #report(stage) {
    const { dataset } = this.root;
    dataset.atoms = stage.scene.atoms.site.length;
    dataset.bonds = stage.scene.bonds;
    dataset.key = stage.scene.key;
    const { position, target } = stage.cameraState();
    dataset.camera = [...position, ...target].join(",");
    dataset.ready = "true";
  }

  #buttons() {
    this.bar = element("div", "bar", this.root);
    this.bar.setAttribute("role", "toolbar");
    this.bar.setAttribute("aria-label", "View");
    const add = (text, title, act) => {
      const button = element("button", "", this.bar);
      button.type = "button";
      button.textContent = text;
      button.title = title;
      button.setAttribute("aria-label", title);
      button.addEventListener("click", act);
      return button;
    };
    for (const axis of "abc") {
      add(axis, `Look along ${axis}`, () => this.#look(axis)).style.fontStyle = "italic";
    }
    add("⟲", "Reset the view", () => this.#look("reset"));
    this.labelButton = add("Aa", "Label the atoms", () => {
      this.#set("labels", !this.model.get("labels"));
    });
  }

  #pointer() {
    const canvas = this.stage.renderer.domElement;
    let pressed = null;
    let waiting = 0;
    canvas.addEventListener("pointerdown", (event) => {
      this.root.focus({ preventScroll: true });
      pressed = [event.clientX, event.clientY];
      this.#hover(null);
    });
    canvas.addEventListener("pointerup", (event) => {
      const moved = pressed
        && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > CLICK_SLOP;
      if (pressed && !moved && event.button === 0) this.#click(event);
      pressed = null;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons || waiting) return;
      waiting = requestAnimationFrame(() => {
        waiting = 0;
        this.#hover(this.stage.pick(event.clientX, event.clientY), event);
      });
    });
    canvas.addEventListener("pointerleave", () => this.#hover(null));
  }

  #hover(atom, event) {
    this.stage.renderer.domElement.style.cursor = atom === null ? "grab" : "pointer";
    this.tip.style.opacity = atom === null ? 0 : 1;
    if (atom === null) return;
    const { atoms, sites } = this.stage.scene;
    const site = atoms.site[atom];
    const where = sites.fractional.slice(3 * site, 3 * site + 3).map((x) => x.toFixed(3));
    const name = document.createElement("b");
    name.textContent = sites.label[site];
    const detail = document.createElement("small");
    detail.textContent = `(${where.join(", ")})`;
    this.tip.replaceChildren(name, detail);
    const box = this.root.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, box.width - this.tip.offsetWidth - 4);
    const top = Math.max(event.clientY - box.top - this.tip.offsetHeight - 8, 4);
    this.tip.style.transform = `translate(${left}px, ${top}px)`;
  }

  #click(event) {
    const atom = this.stage.pick(event.clientX, event.clientY);
    const modifiers = { shift: event.shiftKey, ctrl: event.ctrlKey || event.metaKey, alt: event.altKey };
    const clicked = { count: ++this.clicks, site: null, ...modifiers };
    if (atom !== null) {
      const { atoms, sites } = this.stage.scene;
      clicked.site = atoms.site[atom];
      clicked.label = sites.label[clicked.site];
      clicked.element = sites.element[clicked.site];
      clicked.image = atoms.image.slice(3 * atom, 3 * atom + 3);
      clicked.position = this.stage.crystal.position(atom);
    }
    this.#set("clicked", clicked);
  }

  #keyboard() {
    const turns = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
      "+": [0, 0, 1 / 1.12], "=": [0, 0, 1 / 1.12], "-": [0, 0, 1.12],
    };
    const looks = { a: "a", b: "b", c: "c", 0: "reset" };
    this.root.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.stage.scene) return;
      if (event.key in turns) {
        this.stage.turn(...turns[event.key]);
        this.#sendCamera(this.stage.cameraState());
      } else if (event.key in looks) {
        this.#look(looks[event.key]);
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation(); // JupyterLab has its own meaning for single letters
    });
  }

  dispose() {
    for (const [name, act] of Object.entries(this.watched)) this.model.off(`change:${name}`, act);
    this.stage.dispose();
    this.root.remove();
  }
}

// Panel may draw a view again without taking the old one away: WebGL contexts are few.
const drawn = new WeakMap();

function render({ model, el, view }) {
  drawn.get(view ?? el)?.dispose();
  el.style.width = el.style.height = "100%";
  const sheet = document.createElement("style");
  sheet.textContent = STYLE;
  el.append(sheet);
  const root = element("div", "crystal", el);
  root.tabIndex = 0;
  root.setAttribute("role", "application");
  root.setAttribute("aria-roledescription", "crystal structure viewer");
  dress(root, model);
  if (!hasWebGL()) {
    root.dataset.ready = "no-webgl";
    element("div", "note", root).textContent = NO_WEBGL;
    return () => root.remove();
  }
  const viewer = new Viewer(model, root);
  drawn.set(view ?? el, viewer);
  return () => {
    drawn.delete(view ?? el);
    viewer.dispose();
  };
}

export default { render };
