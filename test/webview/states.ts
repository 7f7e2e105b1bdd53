import type {
  DocumentState,
  FeatureRow,
  FeatureState,
  SidebarState,
} from '../../src/contracts/panels.ts';

/** Text that would harm a page which took it for markup, turned the line's direction, or hid. */
export const hostile = {
  markup: '<img src=x onerror="globalThis.harmed=true">',
  script: '"><script>globalThis.harmed=true</script>',
  rightToLeft: 'abc\u202Edef\u202C',
  control: 'bell\u0007 nul\u0000',
  hebrew: ' שלום',
};

const labels = [
  'the · a · an',
  'water · river · ocean',
  'because · since · therefore, and other words that give a reason',
  'def · function · return',
  'hydrogen · oxygen · carbon',
  hostile.markup,
  'freedom · liberty · justice',
  '',
  hostile.rightToLeft,
  hostile.hebrew,
  'said · told · asked',
  'January · February · March',
];

export function featureRows(count: number): FeatureRow[] {
  return Array.from({ length: count }, (_, i) => ({
    feature: (i * 2_017 + 11) % 8_192,
    number: (i * 2_017 + 11) % 8_192,
    domain: null,
    label: labels[i % labels.length] ?? '',
    tokens: Math.max(1, Math.round(400 / (i + 1))),
    maxActivation: 142 / (1 + i / 6),
    density: i === 7 ? NaN : 0.31 / (1 + i * i),
  }));
}

const maxK = 64;

/** 1 - 0.7 k^-0.45: the shape of a hierarchical SAE's curve. */
export const evByK = Float32Array.from({ length: maxK }, (_, i) => 1 - 0.7 * (i + 1) ** -0.45);

export function documentState(change: Partial<DocumentState> = {}): DocumentState {
  const k = change.k ?? 32;
  return {
    fileName: 'speeches/civil-war/gettysburg.md',
    model: 'SmolLM2-135M-Instruct',
    sae: 'smollm2-135m-blocks.15.hook_resid_post-8192',
    hook: 'blocks.15.hook_resid_post',
    k,
    maxK,
    tokens: 1_204,
    excluded: 4,
    l0: k * 0.98,
    domainL0: 0,
    capped: 0,
    boostedEvByK: null,
    domains: [],
    compared: null,
    ev: evByK[k - 1] ?? NaN,
    evByK,
    crossEntropy: 3.214,
    pinned: null,
    query: { search: '', sort: 'strongest', hideDense: false },
    rows: featureRows(60),
    matching: 713,
    partial: false,
    ...change,
  };
}

export function analyzed(change: Partial<DocumentState> = {}): SidebarState {
  return { kind: 'analyzed', document: documentState(change) };
}

/** EV with the domains that are on: what they add is worth most where the base has few features. */
export const boostedEvByK = evByK.map((ev, i) => ev + 0.08 / (1 + i / 16));

/** Domains of every kind: on, off, and one that cannot be used. */
export const domains: DocumentState['domains'] = [
  { name: 'chemistry', path: '/d/chemistry', on: true, l0: 4.82, gain: 0.0213, problem: null },
  { name: hostile.markup, path: '/d/markup', on: true, l0: 0.31, gain: -0.0012, problem: null },
  {
    name: 'proceedings of the parliament, with all its committees',
    path: '/d/parliament',
    on: false,
    l0: 5.1,
    gain: NaN,
    problem: null,
  },
  {
    name: 'law',
    path: '/d/law',
    on: false,
    l0: 0,
    gain: NaN,
    problem:
      'The domain law cannot be used: The SAE law is no residual SAE for small: it was trained on the error of other with other weights.',
  },
];

/** Rows of the base with those of a domain among them. */
function boostedRows(count: number): FeatureRow[] {
  return featureRows(count).map((row, i) =>
    i % 4 === 1
      ? {
          ...row,
          feature: 8_192 + i,
          number: i,
          domain: domains[i % 8 === 1 ? 0 : 1]?.name ?? null,
        }
      : row,
  );
}

/** A document with two domains on. */
export function boosted(change: Partial<DocumentState> = {}): SidebarState {
  return analyzed({ domains, boostedEvByK, domainL0: 5.13, rows: boostedRows(60), ...change });
}

/** Every state that the side bar can be in, by name. */
export const sidebarStates: Readonly<Record<string, SidebarState>> = {
  analyzed: analyzed({ pinned: 2_028 }),
  partial: analyzed({ partial: true, tokens: 210, matching: 60 }),
  nothingMatches: analyzed({
    rows: [],
    matching: 0,
    query: { search: 'zzz', sort: 'rarest', hideDense: true },
  }),
  noStatistics: analyzed({
    tokens: 1,
    excluded: 1,
    l0: NaN,
    ev: NaN,
    crossEntropy: NaN,
    evByK: new Float32Array(maxK).fill(NaN),
    rows: [],
    matching: 0,
  }),
  domains: boosted(),
  comparing: boosted({ compared: { shrunk: 0.34, grown: 12.2 } }),
  domainsOff: analyzed({ domains: domains.map(domain => ({ ...domain, on: false })) }),
  capped: analyzed({ k: maxK, capped: 12 }),
  noDocument: { kind: 'empty', reason: 'noDocument' },
  notAnalyzed: { kind: 'empty', reason: 'notAnalyzed' },
  busy: { kind: 'busy', step: 'Loading SmolLM2-135M-Instruct', fraction: 0.42 },
  busyUnknown: { kind: 'busy', step: 'Starting the engine', fraction: null },
  failed: {
    kind: 'failed',
    message:
      'The SAE models/domain/sae_weights.safetensors expects a width of 2,304 and the model SmolLM2-135M-Instruct has 576.',
    action: 'Choose an SAE that was trained on this model.',
    commands: ['chooseSae', 'restartEngine', 'showLog'],
  },
};

const passage = [
  'We',
  ' hold',
  ' these',
  ' truths',
  ' to',
  ' be',
  ' self',
  '-',
  'evident',
  ',',
  '\n',
  '\t',
  'that',
];

function example(i: number): { tokens: string[]; activations: Float32Array; source: string } {
  const tokens = [...passage, ...Object.values(hostile), ...passage];
  const activations = Float32Array.from(tokens, (_, t) =>
    t % 5 === i % 5 ? (11.8 - i) / (1 + (t % 7)) : 0,
  );
  return { tokens, activations, source: `speeches/declaration-${i}.txt` };
}

export function featureState(change: { feature?: number; pinned?: boolean } = {}): FeatureState {
  const { feature = 4_021, pinned = false } = change;
  return {
    kind: 'feature',
    first: 0,
    features: 8_192,
    pinned,
    sae: 'smollm2-135m-blocks.15.hook_resid_post-8192',
    isDomain: false,
    card: {
      feature,
      label: 'water · river · ocean',
      density: 0.0031,
      maxActivation: 12.4,
      histogram: Uint32Array.from({ length: 32 }, (_, i) => Math.round(9_000 * Math.exp(-i / 4))),
      topTokens: [' water', ' river', ' ocean', ' sea', '\n', hostile.markup].map((token, i) => ({
        token,
        share: 0.31 / (i + 1),
        mean: 8.2 - i,
      })),
      examples: Array.from({ length: 4 }, (_, i) => example(i)),
      promoted: [' boat', ' fish', ' shore', ' waves', ' tide', ' swim'].map((token, i) => ({
        token,
        logit: 2.4 - 0.2 * i,
      })),
      suppressed: [' desert', ' dry', ' sand', hostile.rightToLeft, '123'].map((token, i) => ({
        token,
        logit: -1.9 + 0.2 * i,
      })),
      convention:
        'Activations in the SAE’s own scale over 200,000 held-out tokens of the general corpus; the first token of each window and tokens of outlier norm are left out.',
    },
    here: [
      {
        start: 512,
        line: 12,
        before: 'and beside the long road that led down to the slow brown ',
        token: ' river',
        after: ' they stopped to rest, and no one said a word until the evening',
        activation: 10.6,
      },
      {
        start: 40,
        line: 3,
        before: '',
        token: 'Water',
        after: ` ${hostile.markup}`,
        activation: 7.31,
      },
      {
        start: 90_000,
        line: 1_204,
        before: 'to the ',
        token: ' sea',
        after: '.',
        activation: 0.42,
      },
    ],
  };
}

/** A feature that never fired on the reference corpus. */
export const deadFeature: FeatureState = {
  kind: 'feature',
  first: 0,
  features: 8_192,
  pinned: false,
  sae: 'smollm2-135m-blocks.15.hook_resid_post-8192',
  isDomain: false,
  card: {
    feature: 0,
    label: '',
    density: NaN,
    maxActivation: 0,
    histogram: new Uint32Array(32),
    topTokens: [],
    examples: [],
    promoted: [],
    suppressed: [],
    convention: 'Measured over 200,000 held-out tokens.',
  },
  here: [],
};

/** Feature 7 of a residual SAE of 1,024 features. */
export function domainFeature(): FeatureState {
  const state = featureState({ feature: 8_192 + 7 });
  if (state.kind !== 'feature') return state;
  return { ...state, first: 8_192, features: 1_024, sae: 'chemistry', isDomain: true };
}

/** Every state that the feature panel can be in, by name. */
export const featureStates: Readonly<Record<string, FeatureState>> = {
  feature: featureState(),
  domainFeature: domainFeature(),
  pinned: featureState({ pinned: true }),
  dead: deadFeature,
  busy: { kind: 'busy' },
  failed: {
    kind: 'failed',
    message: 'The engine has ended. Restart it from the Loupe status item.',
  },
};
