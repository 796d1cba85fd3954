/** Prints what the built page weighs, and fails over budget. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

const DIST = path.resolve(import.meta.dirname, "../dist");
const SIGNED_IN_BUDGET_KB = 320;
const TOTAL_BUDGET_KB = 450;

const manifest = JSON.parse(readFileSync(path.join(DIST, ".vite/manifest.json"), "utf8"));
const LAZY_FOR_SIGNED_OUT = /SignInScreen/;

/** The files that a chunk brings with it, all but what is behind the sign-in screen. */
function filesOf(name, found = new Set()) {
  const chunk = manifest[name];
  if (chunk === undefined || found.has(chunk.file)) return found;
  for (const file of [chunk.file, ...(chunk.css ?? [])]) found.add(file);
  const dynamic = (chunk.dynamicImports ?? []).filter((child) => !LAZY_FOR_SIGNED_OUT.test(child));
  for (const child of [...(chunk.imports ?? []), ...dynamic]) filesOf(child, found);
  return found;
}

const kB = (file, suffix) => statSync(path.join(DIST, file + suffix)).size / 1000;
const row = (cells) => console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(52) : cell.padStart(9))).join(""));
const figures = (files) => ["", ".gz", ".br"].map((suffix) => files.reduce((sum, file) => sum + kB(file, suffix), 0));
const print = (name, files) => row([name, ...figures(files).map((figure) => figure.toFixed(1))]);

const signedIn = new Set(["index.html", ...filesOf("index.html")]);
const all = readdirSync(path.join(DIST, "assets")).filter((name) => /\.(js|css)$/.test(name));
const everything = ["index.html", ...all.map((name) => `assets/${name}`)];

row(["kB", "raw", "gzip", "brotli"]);
for (const file of everything) print(`${signedIn.has(file) ? "signed in " : "signed out"} ${file}`, [file]);
print("A signed-in load", [...signedIn]);
print("Everything", everything);

const over = [
  ["A signed-in load", figures([...signedIn])[1], SIGNED_IN_BUDGET_KB],
  ["Everything", figures(everything)[1], TOTAL_BUDGET_KB],
].filter(([, size, budget]) => size > budget);
for (const [name, size, budget] of over)
  console.error(`${name} is over its budget: ${size.toFixed(1)} of ${budget} kB gzip`);
process.exitCode = over.length > 0 ? 1 : 0;
