// Makes models/generalText from a larger corpus: `node --import tsx scripts/makeGeneralText.ts HELDOUT.jsonl.xz TRAIN.jsonl.xz`
// HELDOUT: text that no embedded SAE was trained on, which heldout.jsonl.gz is taken from alone.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Random } from '../src/common/random.ts';
import { readCorpus } from '../src/training/corpus/corpus.ts';
import { NearDuplicates } from '../src/training/corpus/nearDuplicates.ts';
import { generalTextSources } from './generalTextSources.ts';
import { root } from './targets.ts';

/** UTF-16 units. */
const heldOutLength = 425_000;
const mixLength = 1_000_000;
const seed = 1;

interface Passage {
  readonly text: string;
  readonly source: string;
}

const [heldOutPath, trainPath] = process.argv.slice(2);
if (heldOutPath === undefined || trainPath === undefined)
  throw new Error('Expected two paths: held-out text and training text.');
const folder = join(root, 'models', 'generalText');
mkdirSync(folder, { recursive: true });
const random = new Random(seed);
const duplicates = new NearDuplicates(seed);
const unseen = await passages(heldOutPath);
const heldOut = choose(unseen, heldOutLength);
const rest = unseen.filter(passage => !heldOut.includes(passage));
write('heldout.jsonl.gz', heldOut);
write('mix.jsonl.gz', choose([...rest, ...(await passages(trainPath))], mixLength));

/** The passages of a corpus that exactly one source claims, shuffled. */
async function passages(path: string): Promise<Passage[]> {
  const found: Passage[] = [];
  for await (const { text } of readCorpus([path])) {
    const claims = generalTextSources.flatMap(source => {
      const taken = source.take(text);
      return taken === undefined ? [] : [{ text: taken, source: source.name }];
    });
    const [claim] = claims;
    if (claim !== undefined && claims.length === 1 && !duplicates.add(claim.text))
      found.push(claim);
  }
  const order = random.shuffle(Uint32Array.from(found, (_, index) => index));
  return Array.from(order, index => found[index]).filter(passage => passage !== undefined);
}

/** As much of every source as there is, up to the share at which all come to `length`. */
function choose(from: readonly Passage[], length: number): Passage[] {
  const available = generalTextSources
    .map(({ name }) => from.filter(({ source }) => source === name))
    .map(of => of.reduce((sum, { text }) => sum + text.length, 0))
    .sort((a, b) => a - b);
  let share = 0;
  let left = length;
  for (const [index, most] of available.entries()) {
    share = left / (available.length - index);
    if (most >= share) break;
    left -= most;
  }
  const taken = new Map<string, number>();
  return from.filter(({ source, text }) => {
    const sum = taken.get(source) ?? 0;
    if (sum + text.length > share) return false;
    taken.set(source, sum + text.length);
    return true;
  });
}

function write(name: string, of: readonly Passage[]): void {
  const path = join(folder, name);
  const lines = of.map(passage => `${JSON.stringify(passage)}\n`).join('');
  writeFileSync(path, gzipSync(lines, { level: 9 }));
  console.log(`${name}: ${of.length} passages, ${statSync(path).size} bytes`);
  for (const { name: source } of generalTextSources) {
    const texts = of.filter(passage => passage.source === source);
    const units = texts.reduce((sum, { text }) => sum + text.length, 0);
    console.log(`  ${source}: ${texts.length} passages, ${units} characters`);
  }
}
