// Bundles src/ and three.js into one minified ES module that asks the network for nothing.
import { build } from "esbuild";
import { copyFile, mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "assets", "viewer");

await mkdir(target, { recursive: true });
await build({
  entryPoints: [join(here, "src", "index.js")],
  outfile: join(target, "viewer.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "inline",
});
await copyFile(join(here, "node_modules", "three", "LICENSE"), join(target, "LICENSE-three.txt"));
const { size } = await stat(join(target, "viewer.js"));
console.log(`assets/viewer/viewer.js: ${(size / 1000).toFixed(0)} kB`);
