/** Ways of teaching a base a domain. */
export type Method = 'boost' | 'mixed' | 'fine-tuned' | 'extended-random' | 'extended-active';

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
  readonly domains: readonly string[];
  readonly baseK: number;
  /** Of the paper's method first, then what it is compared with. */
  readonly ks: readonly number[];
  readonly tokens: number;
  readonly seeds: number;
  /** Other budgets, for each domain. */
  readonly budgets: readonly number[];
  /** Tokens of extended SAEs by domain, where not `tokens`. */
  readonly extendedTokens: ReadonlyMap<string, number>;
}

/** Every training, those that say most first. */
export function armsOf(plan: Plan): readonly Arm[] {
  const { domains, baseK, ks, tokens, seeds, budgets, extendedTokens } = plan;
  const [k = 5, ...otherKs] = ks;
  const each = (arms: readonly Omit<Arm, 'domain'>[], among = domains): Arm[] =>
    among.flatMap(domain => arms.map(arm => ({ domain, ...arm })));
  const boost = { method: 'boost', k, tokens, seed: 0 } as const;
  const extended = (among: readonly string[]): Arm[] =>
    among.flatMap(domain =>
      (['extended-random', 'extended-active'] as const).map(method => {
        return { domain, method, k: baseK, tokens: extendedTokens.get(domain) ?? tokens, seed: 0 };
      }),
    );
  return [
    ...each([boost]),
    ...each([{ method: 'fine-tuned', k: baseK, tokens, seed: 0 }]),
    ...extended(domains.slice(0, 1)),
    ...each([
      { ...boost, method: 'mixed' },
      ...otherKs.map(other => ({ ...boost, k: other })),
      ...budgets.map(budget => ({ ...boost, tokens: budget })),
      ...Array.from({ length: seeds - 1 }, (_, i) => ({ ...boost, seed: i + 1 })),
    ]),
    ...extended(domains.slice(1)),
  ];
}

/** Also of its folder. */
export function nameOf({ domain, method, k, tokens, seed }: Arm): string {
  return [domain, method, `k${k}`, tokens, seed].join('.');
}

/** Whether the arm's result is a residual SAE beside the base, and not another base. */
export function isResidualArm({ method }: Arm): boolean {
  return method === 'boost' || method === 'mixed';
}
