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

/** Every training, those that say most about all domains first. */
export function armsOf(plan: Plan): readonly Arm[] {
  const { domains, baseK, ks, tokens, seeds, budgets, extendedTokens } = plan;
  const [k = 5] = ks;
  const each = (arms: (domain: string) => Omit<Arm, 'domain'>[]): Arm[] =>
    domains.flatMap(domain => arms(domain).map(arm => ({ domain, ...arm })));
  const others = Array.from({ length: seeds - 1 }, (_, i) => i + 1);
  const extended = ['extended-random', 'extended-active'] as const;
  return [
    ...each(() => [
      { method: 'boost', k, tokens, seed: 0 },
      { method: 'mixed', k, tokens, seed: 0 },
      ...ks.slice(1).map(other => ({ method: 'boost' as const, k: other, tokens, seed: 0 })),
      ...others.map(seed => ({ method: 'boost' as const, k, tokens, seed })),
      ...budgets.map(budget => ({ method: 'boost' as const, k, tokens: budget, seed: 0 })),
    ]),
    ...each(() => [{ method: 'fine-tuned', k: baseK, tokens, seed: 0 }]),
    ...each(domain =>
      extended.map(method => ({
        ...{ method, k: baseK, seed: 0 },
        tokens: extendedTokens.get(domain) ?? tokens,
      })),
    ),
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
