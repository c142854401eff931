// Arrows of the magnetisation: one from the crystal's centre, or one per magnetic site. Beside
// them a thin double arrow through the centre for a direction to compare with, the easy axis.
import * as THREE from "three";

const Y = new THREE.Vector3(0, 1, 0);

// Unit vector of the polar angles (θ from z, φ from x towards y), in degrees.
export function direction(theta, phi) {
  const t = THREE.MathUtils.degToRad(theta);
  const p = THREE.MathUtils.degToRad(phi);
  return new THREE.Vector3(
    Math.sin(t) * Math.cos(p), Math.sin(t) * Math.sin(p), Math.cos(t));
}

// Length in Å of the central arrow if none is asked for: it stands out of the atoms.
export const arrowLength = ({ radius }) => Math.max(2.4, Math.min(0.7 * radius, 5), 0.15 * radius);

// One arrow along +y from 0 to 1 is a shaft and a head; both are scaled when placed.
class Arrow {
  constructor(materials) {
    this.group = new THREE.Group();
    this.shaft = new THREE.CylinderGeometry(1, 1, 1, 28);
    this.head = new THREE.ConeGeometry(1, 1, 36);
    this.parts = materials.map((material) => [
      new THREE.Mesh(this.shaft, material), new THREE.Mesh(this.head, material)]);
    for (const pair of this.parts) this.group.add(...pair);
  }

  place(tail, along, length, radius) {
    const head = Math.min(4.6 * radius, 0.5 * length);
    for (const [shaft, cone] of this.parts) {
      shaft.scale.set(radius, length - head, radius);
      shaft.position.set(0, (length - head) / 2, 0);
      cone.scale.set(2.3 * radius, head, 2.3 * radius);
      cone.position.set(0, length - head / 2, 0);
    }
    this.group.position.copy(tail);
    this.group.quaternion.setFromUnitVectors(Y, along);
    this.tip = tail.clone().addScaledVector(along, length);
  }

  dispose() {
    this.shaft.dispose();
    this.head.dispose();
  }
}

export class SpinArrows {
  constructor() {
    this.group = new THREE.Group();
    this.solid = new THREE.MeshStandardMaterial({ roughness: 0.35 });
    // Drawn through the atoms, faintly, so that the direction is never hidden.
    this.ghost = new THREE.MeshBasicMaterial({
      transparent: true, opacity: 0.28, depthTest: false, depthWrite: false });
    this.axis = new THREE.MeshStandardMaterial({ roughness: 0.5 });
    this.axisGhost = new THREE.MeshBasicMaterial({
      transparent: true, opacity: 0.35, depthTest: false, depthWrite: false });
    this.arrows = [];
    this.tips = [];
  }

  // `moments`: per site a number (µB along the dial's direction), a vector, or null. `axis`: a
  // unit vector, or empty.
  update(scene, { theta, phi, length, visible, label, moments, axis }) {
    this.clear();
    if (!scene) return;
    if (axis?.length === 3) this.#axis(scene, new THREE.Vector3(...axis).normalize());
    if (!visible) return;
    const dial = direction(theta, phi);
    const magnetic = this.#siteMoments(scene, moments, dial);
    if (magnetic.length) {
      const largest = Math.max(...magnetic.map((m) => m.vector.length()));
      for (const { at, vector, radius } of magnetic) {
        const span = (length || 1.5) * (vector.length() / largest) + 2 * radius;
        const along = vector.clone().normalize();
        this.#add(at.clone().addScaledVector(along, -span / 2), along, span, 0.11);
      }
      return;
    }
    const centre = new THREE.Vector3(...scene.center);
    const span = length || arrowLength(scene);
    const tip = this.#add(centre, dial, span, 0.035 * span + 0.03);
    this.tips.push({ at: tip.addScaledVector(dial, 0.06 * span + 0.2), text: label, name: "spin" });
  }

  #axis(scene, along) {
    const centre = new THREE.Vector3(...scene.center);
    const span = arrowLength(scene);
    for (const way of [along, along.clone().negate()]) {
      const tip = this.#add(centre, way, span, 0.05, [this.axis, this.axisGhost]);
      if (way === along) {
        this.tips.push({ at: tip.addScaledVector(way, 0.3), text: "easy", name: "axis" });
      }
    }
  }

  #siteMoments(scene, moments, dial) {
    if (!moments || !moments.length) return [];
    const found = [];
    scene.atoms.site.forEach((site, i) => {
      const moment = moments[site];
      if (moment === null || moment === undefined) return;
      const vector = Array.isArray(moment)
        ? new THREE.Vector3(...moment) : dial.clone().multiplyScalar(moment);
      if (vector.length() < 0.05) return; // µB; smaller is noise of a non-magnetic site
      const at = new THREE.Vector3().fromArray(scene.atoms.position, 3 * i);
      found.push({ at, vector, radius: scene.atoms.radius[i] });
    });
    return found;
  }

  #add(tail, along, length, radius, materials = [this.solid, this.ghost]) {
    const arrow = new Arrow(materials);
    arrow.place(tail, along, length, radius);
    for (const [shaft, head] of arrow.parts.slice(1)) shaft.renderOrder = head.renderOrder = 5;
    this.arrows.push(arrow);
    this.group.add(arrow.group);
    return arrow.tip;
  }

  paint(theme) {
    this.solid.color.set(theme.spin);
    this.ghost.color.set(theme.spin);
    this.axis.color.set(theme.axis);
    this.axisGhost.color.set(theme.axis);
  }

  clear() {
    for (const arrow of this.arrows) {
      this.group.remove(arrow.group);
      arrow.dispose();
    }
    this.arrows = [];
    this.tips = [];
  }

  dispose() {
    this.clear();
    for (const material of [this.solid, this.ghost, this.axis, this.axisGhost]) material.dispose();
  }
}

// The three lattice directions, drawn in their own corner of the canvas.
export class Triad {
  constructor() {
    this.scene = new THREE.Scene();
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0xd0d4da, 3.6));
    this.camera = new THREE.OrthographicCamera(-1.3, 1.3, 1.3, -1.3, 0.1, 10);
    this.materials = [0, 1, 2].map(() => new THREE.MeshStandardMaterial({ roughness: 0.5 }));
    this.arrows = this.materials.map((material) => new Arrow([material]));
    for (const arrow of this.arrows) this.scene.add(arrow.group);
    this.ends = [];
  }

  update(lattice) {
    this.ends = lattice.map((vector, i) => {
      const along = new THREE.Vector3(...vector).normalize();
      this.arrows[i].place(new THREE.Vector3(), along, 0.9, 0.055);
      return along.multiplyScalar(1.12);
    });
    for (const arrow of this.arrows) arrow.group.visible = lattice.length === 3;
  }

  follow(camera, target) {
    this.camera.position.subVectors(camera.position, target).setLength(5);
    this.camera.quaternion.copy(camera.quaternion);
    this.camera.updateMatrixWorld();
  }

  paint(theme) {
    this.materials.forEach((material, i) => material.color.set(theme.axes[i]));
  }

  dispose() {
    this.arrows.forEach((arrow) => arrow.dispose());
    this.materials.forEach((material) => material.dispose());
  }
}
