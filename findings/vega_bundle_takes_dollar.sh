#!/usr/bin/env bash
# vl-convert-python 1.9.0.post1 (Python 3.11, node 20), 2026-11-29
#
# Seen: the script that javascript_bundle() makes for a <script> tag declares thousands of names at the top level, `$`
# and all other single letters among them. A second script of the page that declares `const $` does not run at all:
# "Identifier '$' has already been declared", also where the bundle came after it, and then it is the bundle that does
# not run.
#
# Expected: that a bundle "suitable for inclusion in an HTML <script> tag" gives the page vegaEmbed, vega and vegaLite,
# as its documentation says, and nothing else; bundlers wrap what they make in a function for that reason.
#
# Why it hurts here: a report that works from disk has its charts' library in the page, beside a few lines of its own.
# Either the charts or the page are dead, by a name that nobody wrote. Putting the bundle into a function is enough.
#
# Output seen:
#   plain: SyntaxError: Identifier '$' has already been declared
#   in a function: const $ works
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check vl-convert-python==1.9.0.post1
env/bin/python -c 'import vl_convert; open("vega.js", "w").write(vl_convert.javascript_bundle())'

cat > page.js <<'END'
const fs = require("fs"), vm = require("vm");
const bundle = fs.readFileSync("vega.js", "utf8");
const seen = {};
for (const [name, script] of [["plain", bundle], ["in a function", `(() => {${bundle}})();`]]) {
  const page = vm.createContext({});
  try { vm.runInContext(script, page); } catch { /* no window here; names are declared before a script runs */ }
  try { vm.runInContext("const $ = 1;", page); seen[name] = "const $ works"; } catch (error) { seen[name] = String(error); }
  console.log(`${name}: ${seen[name]}`);
}
if (!seen.plain.includes("already been declared") || seen["in a function"] !== "const $ works") {
  console.error("changed: what the bundle declares");
  process.exit(1);
}
END
node page.js
