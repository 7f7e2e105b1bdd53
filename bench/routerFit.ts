// A window's loss and its gradient by every LIMe router of the embedded model, against its loss alone and against the
// same in PyTorch: interleaved rounds in one run, and how far the two gradients differ. `LOUPE_PYTHON` names a Python
// with torch, transformers and gguf; without it, PyTorch is left out.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { embeddedModel } from '../src/common/embedded.ts';
import { loadModel } from '../src/engine/model/loadModel.ts';
import { RoutedLoss } from '../src/engine/lime/routedLoss.ts';
import { fitWindow, identityRouters } from '../src/engine/lime/routerFit.ts';
import { median, ratio, takeTurns, timed, type Contestant } from './parts/contestants.ts';
import { startPeer } from './parts/peer.ts';

const threads = 2;
const warmUp = 2;
/** The layer whose gradient is compared. */
const compared = 5;

export interface RouterFitResult {
  readonly shape: { readonly window: number; readonly threads: number };
  readonly pytorch: string | undefined;
  /** Tokens per second over the median of the rounds. */
  readonly tokensPerSecond: Readonly<Record<string, number>>;
  readonly ratios: Readonly<
    Record<string, { readonly median: number; readonly ofMinima: number; readonly target: string }>
  >;
  /** Of one router's gradient, relative to its largest element; and of the loss. */
  readonly difference: { readonly gradient: number; readonly loss: number } | undefined;
  /** Memory of the process that computed gradients, GB. */
  readonly memory: number;
}

async function benchRouterFit(rounds: number): Promise<RouterFitResult> {
  const path = inRepository(embeddedModel);
  const cacheFolder = inRepository('.cache/weights');
  const model = await loadModel({ path, cacheFolder, threads }, {});
  const text = await readFile(inRepository('samples/chemistry.md'), 'utf8');
  const window = model.tokenizer.encode(text).ids.slice(0, fitWindow);
  const routers = identityRouters(model.config);
  const loss = await RoutedLoss.open(model, { withGradients: false });
  const gradients = await RoutedLoss.open(model, { withGradients: true });
  const own = await gradients.run(window, routers);
  const memory = process.memoryUsage.rss() / 1e9;
  const python = process.env['LOUPE_PYTHON'];
  const peer = python ? await startFitPeer(python, path, window) : undefined;
  const contestants: Contestant[] = [
    {
      name: 'loss',
      run: () => timed(() => loss.run(window, routers)),
      dispose: () => loss.dispose(),
    },
    {
      name: 'gradients',
      run: () => timed(() => gradients.run(window, routers)),
      dispose: () => gradients.dispose(),
    },
    ...(peer ? [peer.contestant] : []),
  ];
  const times = await takeTurns(contestants, { rounds, warmUp });
  const tokensPerSecond = Object.fromEntries(
    Array.from(times, ([name, all]) => [name, (1000 * (fitWindow - 1)) / median(all)]),
  );
  return {
    shape: { window: fitWindow, threads },
    pytorch: peer?.version,
    tokensPerSecond,
    ratios: {
      ...(peer && {
        'PyTorch / Loupe': { ...ratio(times, 'PyTorch', 'gradients'), target: 'at least 1' },
      }),
      'gradients / loss': { ...ratio(times, 'gradients', 'loss'), target: '' },
    },
    difference: peer && {
      gradient: farthest(own.gradients.get(compared), peer.answer.gradient),
      loss: Math.abs(own.surprisal - peer.answer.loss) / peer.answer.loss,
    },
    memory,
  };
}

function farthest(own: Float32Array = new Float32Array(), other: readonly number[]): number {
  const largest = Math.max(...other.map(Math.abs));
  return Math.max(...other.map((value, i) => Math.abs(value - (own[i] ?? NaN)))) / largest;
}

interface FitPeer {
  readonly version: string;
  readonly answer: { readonly loss: number; readonly gradient: readonly number[] };
  readonly contestant: Contestant;
}

async function startFitPeer(python: string, model: string, window: Uint32Array): Promise<FitPeer> {
  const script = inRepository('bench/peers/routerFit.py');
  const peer = await startPeer(python, [script, model, String(threads)]);
  const answer = JSON.parse(await peer.ask(JSON.stringify([...window]))) as FitPeer['answer'];
  return { version: peer.version, answer, contestant: peer.contestant('PyTorch', '') };
}

function inRepository(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await benchRouterFit(Number(process.argv[2] ?? 9)), null, 2));
}
