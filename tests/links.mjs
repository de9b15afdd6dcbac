// Checks what the Markdown files promise: relative links lead to a file and a
// heading that exist, and every test that compatibility.md and topic-rules.md name is there.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: root })
  .toString().split('\n').filter((name) => name && existsSync(path.join(root, name)));
const faults = [];

/** The anchors of a file's headings, as GitHub makes them. */
const anchors = (text) => new Set(
  [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ +(.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/`/g, '').replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-')),
);

for (const name of listed) {
  const text = readFileSync(path.join(root, name), 'utf8');
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  for (const [, target] of prose.matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/i.test(target)) continue;
    const [file, anchor] = target.split('#');
    const found = file ? path.resolve(root, path.dirname(name), file) : path.join(root, name);
    if (!existsSync(found)) faults.push(`${name}: ${target} leads nowhere`);
    else if (anchor && found.endsWith('.md') && !anchors(readFileSync(found, 'utf8')).has(anchor)) {
      faults.push(`${name}: ${target} names no heading`);
    }
  }
}

// The last column of these pages' tables: `file: part of the test's name`.
let promised = 0;
for (const page of ['docs/compatibility.md', 'docs/topic-rules.md']) {
  if (!existsSync(path.join(root, page))) continue;
  const rows = readFileSync(path.join(root, page), 'utf8').split('\n').filter((line) => /^\|.*\|$/.test(line));
  for (const row of rows) {
    const cell = row.split(/(?<!\\)\|/).at(-2);
    for (const [, file, part] of cell.matchAll(/`([\w/.-]+\.(?:mjs|py|rs)): ([^`]+)`/g)) {
      promised += 1;
      const found = [path.join(root, 'tests/suite', file), path.join(root, 'tests/python', file), path.join(root, file)]
        .find(existsSync);
      if (!found) faults.push(`${page}: there is no ${file}`);
      else if (!readFileSync(found, 'utf8').replace(/\\'/g, "'").includes(part)) {
        faults.push(`${page}: ${file} has no test with "${part}"`);
      }
    }
  }
}

for (const fault of faults) console.error(fault);
console.log(`${listed.length} files, ${promised} named tests, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
