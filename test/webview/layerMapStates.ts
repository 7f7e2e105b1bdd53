import type { CollapseResult } from '../../src/contracts/collapse.ts';
import type { Circuits, LayerMap, RouteMap } from '../../src/contracts/layerMap.ts';
import type { DocumentMap, LayerMapState, TokenMap } from '../../src/contracts/layerMapPanel.ts';

/** Shares from positive weights: each row of L is made to sum to 1 over the buffers up to its layer. */
export function routeMap(
  layers: number,
  heads: number,
  weight: (layer: number, head: number, buffer: number) => number,
): RouteMap {
  const perHead = new Float32Array(layers * heads * layers);
  const map = new Float32Array(layers * layers);
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < heads; head++) {
      let sum = 0;
      for (let j = 0; j <= layer; j++) sum += weight(layer, head, j);
      for (let j = 0; j <= layer; j++) {
        const share = weight(layer, head, j) / sum;
        perHead[(layer * heads + head) * layers + j] = share;
        map[layer * layers + j] = (map[layer * layers + j] ?? 0) + share / heads;
      }
    }
  }
  return { map, perHead };
}

/** As in the paper: early layers read the embeddings, middle ones the layer before, the last the first two. */
function asInThePaper(layer: number, head: number, buffer: number, layers = 16): number {
  const diagonal = buffer === layer ? 0.55 : 0;
  const before = buffer === layer - 1 ? 0.32 * Math.exp(-layer / 9) : 0;
  const embeddings = buffer === 0 ? 0.5 * Math.exp(-layer / 2.5) : 0;
  const late = layer > layers - 4 && buffer < 2 ? 0.35 : 0;
  const ripple = 0.03 + 0.05 * Math.abs(Math.sin(1.7 * buffer + 2.3 * head + layer));
  return diagonal + before + embeddings + late + ripple * (head % 3 === 0 ? 2 : 1);
}

const flat = (heads: number) => (layer: number, _head: number, buffer: number) =>
  buffer === layer ? 1 / heads + 0.07 : 0.08;

export function layerMap(change: Partial<LayerMap> = {}, layers = 16, heads = 8): LayerMap {
  return {
    model: 'LIMe 1B',
    origin: 'trained',
    fit: null,
    layers,
    heads,
    queryHeads: 2 * heads,
    routers: routeMap(layers, heads, (l, h, j) => asInThePaper(l, h, j, layers)),
    initial: routeMap(layers, heads, flat(heads)),
    ...change,
  };
}

const identity = (layers: number, heads: number): RouteMap =>
  routeMap(layers, heads, (layer, _head, buffer) => (buffer === layer ? 1 : 0));

/** SmolLM2-135M's shape without routers. */
export function identityMap(): LayerMap {
  return layerMap(
    {
      model: 'SmolLM2-135M-Instruct',
      origin: 'identity',
      queryHeads: 9,
      routers: identity(30, 3),
      initial: identity(30, 3),
    },
    30,
    3,
  );
}

export function fittedMap(): LayerMap {
  const fitted = routeMap(30, 3, (layer, head, buffer) =>
    buffer === layer ? 1 : 0.02 * asInThePaper(layer, head, buffer, 30),
  );
  return {
    ...identityMap(),
    origin: 'fitted',
    routers: fitted,
    fit: {
      name: 'notes',
      tokens: 204_800,
      steps: 200,
      seed: 0,
      heldOutTokens: 16_384,
      ceBefore: 3.4127,
      ceAfter: 3.2881,
    },
  };
}

export function documentMap(change: Partial<DocumentMap> = {}): DocumentMap {
  return {
    fileName: 'chemistry.md',
    tokens: 412,
    isPart: false,
    convention: 'Shares of the mean norm of R V over the tokens.',
    contribution: routeMap(16, 8, (l, h, j) => asInThePaper(l, h, j) * (j === 0 ? 3 : 1)),
    initial: routeMap(16, 8, flat(8)),
    ...change,
  };
}

export function tokenMap(change: Partial<TokenMap> = {}): TokenMap {
  return {
    token: 12,
    tokens: 412,
    line: 3,
    before: 'Aspirin is an ',
    text: 'analgesic',
    after: ' that is made from\nsalicylic acid, which',
    shares: routeMap(16, 16, (l, h, j) => asInThePaper(l, h, j) ** 2).perHead,
    initial: routeMap(16, 16, flat(8)).perHead,
    ...change,
  };
}

export const circuits: Circuits = {
  tokens: 20_480,
  convention: 'Share of the route in the norm of its head’s output.',
  found: [
    ['ised', 0.812, 'the process was real', ' in 1897 by'],
    ['ishing', 0.774, 'a method of van', ' solvents'],
    ['ist', 0.731, 'an organic chem', ' would say'],
  ].map(([text, share, before, after], i) => ({
    text: text as string,
    share: share as number,
    before: before as string,
    after: after as string,
    path: `/notes/file${i}.md`,
    start: 10 * i,
    end: 10 * i + 4,
    verbatim: true,
  })),
  byText: [
    { text: 'ised', count: 14, mean: 0.71 },
    { text: ' ist', count: 9, mean: 0.66 },
  ],
};

/** As the paper's Fig. 2 and 7: values of a Llama collapse, a LIMe model's do not; hidden states are alike. */
export function collapse(isLime: boolean, layers = 16): CollapseResult {
  const spread = (mean: number) => ({ mean, deviation: 0.05 });
  const words = ['is', 'are', 'was', 'were'];
  const points = (radius: number) =>
    Float32Array.from({ length: 160 }, (_, at) => {
      const [n, angle] = [at >> 1, ((at >> 1) % 4) * (Math.PI / 2) + 0.6];
      const centre = radius * (at % 2 ? Math.sin(angle) : Math.cos(angle));
      return centre + 9 * Math.sin((at % 2 ? 1.7 : 2.9) * n);
    });
  return {
    model: isLime ? 'LIMe 1B' : 'Llama 1B',
    architecture: isLime ? 'lime' : 'llama',
    tokens: 20_224,
    windowLength: 256,
    samples: 16,
    alpha: 0.5,
    words: words.map((word, i) => ({ word, tokenId: i, count: 80 - 10 * i })),
    perWord: 50,
    chance: 0.25,
    folds: 5,
    epochs: 28,
    seed: 42,
    layers: Array.from({ length: layers }, (_, layer) => ({
      values: {
        entropy: spread(6.5 - (isLime ? 0.01 : 0.05) * layer),
        separability: spread(isLime ? 1 : 0.99 - 0.004 * layer),
      },
      hiddenStates: {
        entropy: spread(6 + 0.05 * layer),
        separability: spread(0.97 - (isLime ? 0.003 : 0.001) * layer),
      },
    })),
    projections: [3, 9, 15].flatMap(layer =>
      (['values', 'hiddenStates'] as const).map(place => ({
        layer,
        place,
        points: points(isLime ? 40 : 40 - 2.5 * layer),
        words: Uint32Array.from({ length: 80 }, (_, n) => n % 4),
      })),
    ),
    convention: 'Entropy at alpha 0.5 of windows of 256 tokens.',
  };
}

export function state(change: Partial<LayerMapState> = {}): LayerMapState {
  return {
    map: { kind: 'ready', value: layerMap() },
    routers: { sets: [], chosen: null, agreements: [] },
    document: { kind: 'none', reason: 'Open a text file.' },
    token: { kind: 'none' },
    selection: { route: null, tint: false, tinted: null, problem: null },
    circuits: { kind: 'none' },
    collapse: { against: null, work: { kind: 'none' } },
    ...change,
  };
}

const route = { layer: 9, head: 3, buffer: 2 };
const sets = [{ name: 'notes', path: '/storage/routers/notes' }];

/** A state for every tab and every kind of model; `tab` is its number. */
export const layerMapStates: Readonly<Record<string, { tab: number; state: LayerMapState }>> = {
  layers: { tab: 0, state: state() },
  heads: { tab: 1, state: state() },
  document: {
    tab: 2,
    state: state({
      document: { kind: 'ready', value: documentMap() },
      selection: {
        route,
        tint: true,
        tinted: { tokens: 412, mean: 0.12, max: 0.541 },
        problem: null,
      },
    }),
  },
  token: {
    tab: 3,
    state: state({
      document: { kind: 'ready', value: documentMap() },
      token: { kind: 'ready', value: tokenMap() },
      selection: { route, tint: false, tinted: null, problem: null },
    }),
  },
  circuits: {
    tab: 4,
    state: state({
      selection: { route, tint: false, tinted: null, problem: null },
      circuits: { kind: 'ready', value: { route, found: circuits } },
    }),
  },
  collapse: {
    tab: 5,
    state: state({
      collapse: {
        against: { kind: 'file', name: 'Llama 1B' },
        work: {
          kind: 'ready',
          value: {
            text: 'the workspace',
            models: [
              { name: 'LIMe 1B', result: collapse(true) },
              { name: 'Llama 1B', result: collapse(false) },
            ],
          },
        },
      },
    }),
  },
  collapseBusy: {
    tab: 5,
    state: state({
      collapse: {
        against: null,
        work: { kind: 'busy', step: 'Measuring entropy', fraction: 0.3 },
      },
    }),
  },
  identity: { tab: 0, state: state({ map: { kind: 'ready', value: identityMap() } }) },
  fitted: {
    tab: 0,
    state: state({
      map: { kind: 'ready', value: fittedMap() },
      routers: {
        sets,
        chosen: sets[0]?.path ?? null,
        agreements: [
          'Agrees with “chemistry”: correlation 0.995, of the earlier layers alone 0.912.',
        ],
      },
    }),
  },
  fittedHeads: {
    tab: 1,
    state: state({
      map: { kind: 'ready', value: fittedMap() },
      routers: {
        sets,
        chosen: sets[0]?.path ?? null,
        agreements: [
          'Agrees with “chemistry”: correlation 0.995, of the earlier layers alone 0.912.',
        ],
      },
    }),
  },
  small: {
    tab: 0,
    state: state({ map: { kind: 'ready', value: layerMap({ model: 'tiny' }, 6, 2) } }),
  },
  running: {
    tab: 2,
    state: state({ document: { kind: 'busy', step: 'Running layer 7 of 16', fraction: 0.4 } }),
  },
  busy: {
    tab: 0,
    state: state({ map: { kind: 'busy', step: 'Reading the routers', fraction: null } }),
  },
  failed: {
    tab: 0,
    state: state({
      map: {
        kind: 'failed',
        message: 'There is no model at /models/none. Choose a model.',
      },
    }),
  },
};
