// Atoms, bonds and cell of one scene as instanced meshes: three draw calls whatever the size.
import * as THREE from "three";
import { LineMaterial } from "three/addons/lines/LineMaterial.js";
import { LineSegments2 } from "three/addons/lines/LineSegments2.js";
import { LineSegmentsGeometry } from "three/addons/lines/LineSegmentsGeometry.js";

const Y = new THREE.Vector3(0, 1, 0);

// Segments of a round body: fewer the more bodies share the window, each being smaller on it.
const facets = (count, most) => Math.max(8, Math.round(most / Math.max(1, (count / 120) ** 0.5)));

const surface = () => new THREE.MeshStandardMaterial({ roughness: 0.42, metalness: 0.0 });

export class Crystal {
  constructor() {
    this.group = new THREE.Group();
    this.atoms = null;
    this.selection = null;
    this.edges = null;
    this.scene = null;
    this.selectMaterial = new THREE.MeshBasicMaterial({ side: THREE.BackSide });
    this.edgeMaterial = new LineMaterial({ linewidth: 1.3, transparent: true, opacity: 0.42 });
  }

  build(scene) {
    this.clear();
    this.scene = scene;
    this.colors = scene.palette.map((c) => new THREE.Color(c));
    if (scene.atoms.site.length) this.group.add((this.atoms = this.#spheres(scene.atoms)));
    if (scene.sticks.color.length) this.group.add(this.#cylinders(scene.sticks));
    if (scene.edges.length) this.group.add((this.edges = this.#lines(scene.edges)));
  }

  #spheres(atoms) {
    const count = atoms.site.length;
    const fine = facets(count, 44);
    const mesh = new THREE.InstancedMesh(
      new THREE.SphereGeometry(1, fine, Math.round(fine * 0.66)), surface(), count);
    const matrix = new THREE.Matrix4();
    for (let i = 0; i < count; i++) {
      const r = atoms.radius[i];
      matrix.makeScale(r, r, r).setPosition(...this.position(i));
      mesh.setMatrixAt(i, matrix);
      mesh.setColorAt(i, this.colors[atoms.color[i]]);
    }
    mesh.computeBoundingSphere();
    return mesh;
  }

  #cylinders(sticks) {
    const count = sticks.color.length;
    const mesh = new THREE.InstancedMesh(
      new THREE.CylinderGeometry(1, 1, 1, facets(count / 4, 20), 1, true), surface(), count);
    const [from, to, axis, mid, scale] = Array.from({ length: 5 }, () => new THREE.Vector3());
    const turn = new THREE.Quaternion();
    const matrix = new THREE.Matrix4();
    for (let i = 0; i < count; i++) {
      from.fromArray(sticks.position, 6 * i);
      to.fromArray(sticks.position, 6 * i + 3);
      axis.subVectors(to, from);
      const length = axis.length();
      turn.setFromUnitVectors(Y, axis.divideScalar(length || 1));
      mid.addVectors(from, to).multiplyScalar(0.5);
      matrix.compose(mid, turn, scale.set(sticks.radius, length, sticks.radius));
      mesh.setMatrixAt(i, matrix);
      mesh.setColorAt(i, this.colors[sticks.color[i]]);
    }
    mesh.computeBoundingSphere();
    return mesh;
  }

  #lines(points) {
    const geometry = new LineSegmentsGeometry().setPositions(points);
    return new LineSegments2(geometry, this.edgeMaterial);
  }

  position(i) {
    return this.scene.atoms.position.slice(3 * i, 3 * i + 3);
  }

  // The instance under the ray, or null.
  pick(raycaster) {
    if (!this.atoms) return null;
    const hit = raycaster.intersectObject(this.atoms, false)[0];
    return hit ? hit.instanceId : null;
  }

  // An outline (an inflated shell seen from inside) about every image of the selected sites.
  select(sites) {
    if (this.selection) {
      this.group.remove(this.selection);
      this.selection.dispose();
      this.selection = null;
    }
    if (!this.atoms) return;
    const wanted = new Set(sites);
    const { site, radius } = this.scene.atoms;
    const chosen = [...site.keys()].filter((i) => wanted.has(site[i]));
    if (!chosen.length) return;
    const mesh = new THREE.InstancedMesh(
      this.atoms.geometry, this.selectMaterial, chosen.length);
    const matrix = new THREE.Matrix4();
    chosen.forEach((atom, i) => {
      const r = radius[atom] * 1.04 + 0.06;
      mesh.setMatrixAt(i, matrix.makeScale(r, r, r).setPosition(...this.position(atom)));
    });
    mesh.computeBoundingSphere();
    this.selection = mesh;
    this.group.add(mesh);
  }

  paint(theme) {
    this.selectMaterial.color.set(theme.select);
    this.edgeMaterial.color.set(theme.edge);
  }

  clear() {
    this.select([]);
    for (const mesh of [...this.group.children]) {
      this.group.remove(mesh);
      mesh.geometry.dispose();
      if (mesh.material !== this.edgeMaterial) mesh.material.dispose();
      mesh.dispose?.();
    }
    this.atoms = this.edges = null;
  }

  dispose() {
    this.clear();
    this.selectMaterial.dispose();
    this.edgeMaterial.dispose();
  }
}
