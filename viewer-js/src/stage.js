// Renderer, camera, lights and controls. Draws when something changed, never in a loop.
import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

import { SpinArrows, Triad, arrowLength } from "./arrows.js";
import { Crystal } from "./crystal.js";
import { Labels } from "./labels.js";
import { THEMES } from "./theme.js";

const FOV = 18; // degrees; a long lens: nearly parallel edges, still a sense of depth
const TRIAD_SIZE = 118; // CSS pixels
const FIRST_VIEW = new THREE.Vector3(-0.34, -1, 0.44); // off every axis of the usual cells
const TURN = Math.PI / 36; // one press of an arrow key

export class Stage {
  constructor(root, { onDrawn, onCamera }) {
    this.root = root;
    this.onDrawn = onDrawn;
    this.renderer = new THREE.WebGLRenderer({ antialias: true, powerPreference: "low-power" });
    this.renderer.autoClear = false;
    root.append(this.renderer.domElement);
    this.labels = new Labels(root);
    this.labelled = false;
    this.selected = [];
    this.theme = THEMES.light;

    this.world = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(FOV, 1, 0.1, 1000);
    this.camera.up.set(0, 0, 1);
    this.#light();
    this.crystal = new Crystal();
    this.spin = new SpinArrows();
    this.triad = new Triad();
    this.world.add(this.crystal.group, this.spin.group);

    this.controls = new OrbitControls(this.camera, this.renderer.domElement);
    this.controls.enableDamping = false;
    this.controls.zoomToCursor = true;
    this.controls.rotateSpeed = 0.9;
    this.controls.addEventListener("change", () => this.redraw());
    this.controls.addEventListener("end", () => onCamera(this.cameraState()));

    this.raycaster = new THREE.Raycaster();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(root);
    this.frame = 0;
    this.resize();
  }

  // Lights ride on the camera: the side that is looked at is always the lit one.
  #light() {
    this.hemisphere = new THREE.HemisphereLight(0xffffff, 0xb9b2a8, 1.6);
    const key = new THREE.DirectionalLight(0xffffff, 2.0);
    key.position.set(-1.2, 1.8, 2.2);
    const fill = new THREE.DirectionalLight(0xdfe9ff, 0.6);
    fill.position.set(2.4, -0.6, 1.2);
    for (const light of [key, fill]) this.camera.add(light, light.target);
    this.camera.add(this.hemisphere);
    this.world.add(this.camera);
  }

  setScene(scene) {
    const before = this.scene;
    this.scene = scene;
    this.crystal.build(scene);
    this.crystal.select(this.selected);
    this.triad.update(scene.lattice);
    if (!before || before.key !== scene.key) {
      this.look("reset");
    } else if (before.radius !== scene.radius || String(before.center) !== String(scene.center)) {
      // The same crystal, more or fewer cells of it: direction and relative zoom stay.
      const shift = this.controls.target.clone().sub(new THREE.Vector3(...before.center));
      const out = this.camera.position.clone().sub(this.controls.target);
      out.multiplyScalar(scene.radius / before.radius);
      this.controls.target.set(...scene.center).add(shift);
      this.camera.position.copy(this.controls.target).add(out);
      this.#settle();
    }
    this.redraw();
  }

  setSpin(spin) {
    this.spin.update(this.scene, spin);
    this.redraw();
  }

  setSelected(sites) {
    this.selected = sites;
    this.crystal.select(sites);
    this.redraw();
  }

  setLabelled(labelled) {
    this.labelled = labelled;
    this.redraw();
  }

  setTheme(name) {
    this.theme = THEMES[name];
    this.renderer.setClearColor(this.theme.background);
    for (const part of [this.crystal, this.spin, this.triad]) part.paint(this.theme);
    this.redraw();
  }

  // Along a lattice vector, or back to the first view.
  look(view) {
    if (!this.scene) return;
    const { lattice, center } = this.scene;
    const axis = "abc".indexOf(view);
    const out = axis >= 0 && lattice.length === 3
      ? new THREE.Vector3(...lattice[axis]) : FIRST_VIEW.clone();
    out.normalize();
    // Straight down z the orbit would have no azimuth: a thousandth aside keeps x to the right.
    if (Math.hypot(out.x, out.y) < 1e-3) out.set(0, -1e-3, Math.sign(out.z)).normalize();
    this.controls.target.set(...center);
    this.camera.position.copy(this.controls.target).addScaledVector(out, this.#fit(out));
    this.#settle();
  }

  // How far away the frame's sphere fills the narrower side of the window.
  #distance() {
    const half = THREE.MathUtils.degToRad(FOV / 2);
    const narrow = Math.atan(Math.tan(half) * Math.min(1, this.camera.aspect));
    return (1.06 * this.scene.radius) / Math.sin(narrow);
  }

  // How far away along `out` every atom and the arrow are just inside the window.
  #fit(out) {
    const right = new THREE.Vector3().crossVectors(this.camera.up, out).normalize();
    const up = new THREE.Vector3().crossVectors(out, right);
    const high = Math.tan(THREE.MathUtils.degToRad(FOV / 2)) * 0.93;
    const wide = high * this.camera.aspect;
    const { atoms, center, moments } = this.scene;
    const arrows = moments.length ? 0.75 : 0; // Å that a site's arrow reaches beyond its ball
    const from = new THREE.Vector3(...center);
    let distance = (arrowLength(this.scene) + 0.8) / high;
    const at = new THREE.Vector3();
    atoms.radius.forEach((ball, i) => {
      const radius = ball + arrows;
      at.fromArray(atoms.position, 3 * i).sub(from);
      const near = at.dot(out);
      distance = Math.max(distance,
        near + (Math.abs(at.dot(right)) + radius) / wide, near + (Math.abs(at.dot(up)) + radius) / high);
    });
    return Math.max(distance, 3);
  }

  #settle() {
    this.controls.minDistance = 1.5;
    this.controls.maxDistance = 12 * this.#distance();
    this.controls.update();
    this.redraw();
  }

  cameraState() {
    const round = (vector) => vector.toArray().map((x) => Math.round(x * 1e5) / 1e5);
    return { position: round(this.camera.position), target: round(this.controls.target) };
  }

  setCamera({ position, target }) {
    this.camera.position.set(...position);
    this.controls.target.set(...target);
    this.#settle();
  }

  // Keyboard: turn about the target by steps, or zoom by a factor.
  turn(right, up, zoom = 1) {
    const out = this.camera.position.clone().sub(this.controls.target);
    const polar = new THREE.Spherical().setFromVector3(new THREE.Vector3(out.x, out.z, -out.y));
    polar.theta += right * TURN;
    polar.phi += up * TURN;
    polar.makeSafe();
    polar.radius *= zoom;
    const turned = new THREE.Vector3().setFromSpherical(polar);
    this.camera.position.copy(this.controls.target)
      .add(new THREE.Vector3(turned.x, -turned.z, turned.y));
    this.#settle();
  }

  // The atom under a point of the page, as an index into the scene's atoms, or null.
  pick(clientX, clientY) {
    const box = this.renderer.domElement.getBoundingClientRect();
    const point = new THREE.Vector2(
      (2 * (clientX - box.left)) / box.width - 1, 1 - (2 * (clientY - box.top)) / box.height);
    this.raycaster.setFromCamera(point, this.camera);
    return this.crystal.pick(this.raycaster);
  }

  // Where an atom stands on the canvas, in CSS pixels.
  project(position, camera = this.camera, box = [0, 0, this.width, this.height]) {
    const point = (position.isVector3 ? position.clone() : new THREE.Vector3(...position))
      .project(camera);
    const [left, top, width, height] = box;
    return {
      x: left + ((point.x + 1) / 2) * width, y: top + ((1 - point.y) / 2) * height, depth: point.z };
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (!width || !height) return; // hidden in a tab: keep what was there
    const before = this.scene && this.#distance();
    [this.width, this.height] = [width, height];
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(width, height, false);
    this.labels.resize(width, height, ratio);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (before) { // keep the crystal's share of the window
      const out = this.camera.position.clone().sub(this.controls.target);
      out.multiplyScalar(this.#distance() / before);
      this.camera.position.copy(this.controls.target).add(out);
      this.#settle();
    }
    this.draw(); // at once: a resized canvas is blank until drawn
  }

  redraw() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.scene || !this.width) return;
    const away = this.camera.position.distanceTo(new THREE.Vector3(...this.scene.center));
    const reach = 3 * this.scene.radius + this.scene.extent;
    this.camera.near = Math.max(0.05, away - reach);
    this.camera.far = away + reach;
    this.camera.updateProjectionMatrix();
    const { renderer } = this;
    renderer.setViewport(0, 0, this.width, this.height);
    renderer.setScissorTest(false);
    renderer.clear();
    renderer.render(this.world, this.camera);
    const corner = this.#drawTriad();
    this.labels.draw(this.#texts(corner), this.theme.halo);
    this.onDrawn(this);
  }

  #drawTriad() {
    const side = Math.min(TRIAD_SIZE, 0.3 * Math.min(this.width, this.height));
    this.triad.follow(this.camera, this.controls.target);
    this.renderer.setViewport(6, 6, side, side);
    this.renderer.setScissor(6, 6, side, side);
    this.renderer.setScissorTest(true);
    this.renderer.clearDepth();
    this.renderer.render(this.triad.scene, this.triad.camera);
    return [6, this.height - 6 - side, side, side];
  }

  #texts(corner) {
    const items = [];
    const { atoms, sites } = this.scene;
    const chosen = new Set(this.selected);
    if (this.labelled || chosen.size) {
      atoms.site.forEach((site, i) => {
        if (!this.labelled && !chosen.has(site)) return;
        const at = this.project(this.crystal.position(i));
        items.push({
          ...at, text: sites.label[site], color: this.theme.text, size: 12.5, weight: 600 });
      });
      items.sort((one, two) => two.depth - one.depth);
      items.forEach((item, rank) => { item.alpha = 0.45 + (0.55 * (rank + 1)) / items.length; });
    }
    for (const { at, text, name } of this.spin.tips) {
      const looks = name === "spin" ? { size: 16, style: "italic" } : { size: 13 };
      items.push({ ...this.project(at), text, color: this.theme[name], weight: 700, ...looks });
    }
    this.triad.ends.forEach((end, i) => {
      const at = this.project(end, this.triad.camera, corner);
      items.push({
        ...at, text: "abc"[i], color: this.theme.axes[i], size: 14, weight: 600, style: "italic" });
    });
    return items;
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.controls.dispose();
    for (const part of [this.crystal, this.spin, this.triad]) part.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
