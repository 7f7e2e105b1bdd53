/** Ways of teaching a base a domain. */
export const methods = [
  'boost',
  'mixed',
  'fine-tuned',
  'extended-random',
  'extended-active',
] as const;
export type Method = (typeof methods)[number];

/** One training of the experiment. */
export interface Arm {
  readonly domain: string;
  readonly method: Method;
  /** Features of a residual SAE that fire per token of the domain; the base's K where there is none. */
  readonly k: number;
  /** Tokens of the domain to train on; more than its text has: several passes. */
  readonly tokens: number;
  readonly seed: number;
}

export interface Plan {
  /** Those to train. */
  readonly methods: readonly string[];
  readonly domains: readonly string[];
  readonly baseK: number;
  /** Of the paper's method first, then what it is compared with. */
  readonly ks: readonly number[];
  readonly tokens: number;
  readonly seeds: number;
  /** Other budgets, of the paper's method and full fine-tuning. */
  readonly budgets: readonly number[];
}

/** Every training, those that say most first. */
export function armsOf(plan: Plan): readonly Arm[] {
  const { domains, baseK, ks, tokens, seeds } = plan;
  const budgets = plan.budgets.filter(budget => budget !== tokens);
  const [k = 5, ...otherKs] = ks;
  const each = (some: readonly Omit<Arm, 'domain'>[]): Arm[] =>
    domains.flatMap(domain => some.map(arm => ({ domain, ...arm })));
  const boost = { method: 'boost', k, tokens, seed: 0 } as const;
  const whole = { k: baseK, tokens, seed: 0 };
  const arms: readonly Arm[] = [
    ...each([boost]),
    ...each([{ ...whole, method: 'fine-tuned' }]),
    ...each([
      { ...whole, method: 'extended-random' },
      { ...whole, method: 'extended-active' },
    ]),
    ...each([
      { ...boost, method: 'mixed' },
      ...otherKs.map(other => ({ ...boost, k: other })),
      ...budgets.map(budget => ({ ...boost, tokens: budget })),
      ...Array.from({ length: seeds - 1 }, (_, i) => ({ ...boost, seed: i + 1 })),
    ]),
    ...each(budgets.map(budget => ({ ...whole, method: 'fine-tuned', tokens: budget }))),
  ];
  return arms.filter(({ method }) => plan.methods.includes(method));
}

/** Also of its folder. */
export function nameOf({ domain, method, k, tokens, seed }: Arm): string {
  return [domain, method, `k${k}`, tokens, seed].join('.');
}

/** Whether the arm's result is a residual SAE beside the base, and not another base. */
export function isResidualArm({ method }: Arm): boolean {
  return method === 'boost' || method === 'mixed';
}
