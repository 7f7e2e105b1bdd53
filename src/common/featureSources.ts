/** The SAE that a stretch of feature numbers belongs to: the base, or the residual SAE of a domain. */
export interface FeatureSource {
  /** 'base', or the domain's name. */
  readonly name: string;
  /** Of the SAE's numbers. */
  readonly hash: string;
  /** Number of its feature 0 among all features. */
  readonly first: number;
  readonly features: number;
}

/** What is loaded, as far as the numbers of features go. */
export interface NumberedSaes {
  readonly hash: string;
  readonly features: number;
  readonly domains: readonly FeatureSource[];
}

export const baseSource = 'base';

/** The base first, then the domains: the order of the numbers. */
export function sourcesOf({ hash, features, domains }: NumberedSaes): readonly FeatureSource[] {
  return [{ name: baseSource, hash, first: 0, features }, ...domains];
}

/** Number of all features together. */
export function featureCount({ features, domains }: NumberedSaes): number {
  return domains.reduce((sum, domain) => sum + domain.features, features);
}

/** A feature by its source and its number there; undefined where there is no such feature. */
export interface SourcedFeature {
  readonly source: FeatureSource;
  readonly number: number;
}

export function locateFeature(
  feature: number,
  sources: readonly FeatureSource[],
): SourcedFeature | undefined {
  const source = sources.find(
    ({ first, features }) => feature >= first && feature < first + features,
  );
  return source && { source, number: feature - source.first };
}

/** What people call a feature: "#12" of the base, "chemistry #12" of a domain. */
export function featureName(feature: number, sources: readonly FeatureSource[]): string {
  const located = locateFeature(feature, sources);
  if (!located || located.source.name === baseSource) return `#${feature}`;
  return `${located.source.name} #${located.number}`;
}

/** The feature that a person names: "12", "#12" or "chemistry #12"; undefined where there is none of that name. */
export function parseFeature(text: string, sources: readonly FeatureSource[]): number | undefined {
  const [, name = '', digits] = /^(.*?)\s*#?(\d{1,9})$/.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  const source = sources.find(candidate => candidate.name === (name || baseSource));
  const number = Number(digits);
  return source && number < source.features ? source.first + number : undefined;
}
