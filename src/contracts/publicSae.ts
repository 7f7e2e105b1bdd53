/** An SAE that its authors have published, as SAELens' own list names it. */
export interface PublicSae {
  /** SAELens' names: `SAE.from_pretrained(release, id)`. */
  readonly release: string;
  readonly id: string;
  readonly repository: string;
  /** The folder or file in the repository. */
  readonly path: string;
  /** The model as the authors name it. */
  readonly model: string;
  readonly format: string;
  readonly hook: string;
  /** F, where the name tells. */
  readonly features: number | undefined;
  readonly transcoder: boolean;
  /** As published; undefined where it is not. */
  readonly l0: number | undefined;
  readonly ev: number | undefined;
}
