/** How many windows of text a training of a residual SAE is measured and calibrated on, at most. */
export interface BoostWindows {
  /** Of held-out text, while training. */
  readonly live: number;
  /** Of held-out text, in the report. */
  readonly reported: number;
  /** Of text to train on, for thresholds. */
  readonly calibrated: number;
}

const whole: BoostWindows = { live: 24, reported: 32, calibrated: 48 };
/** A training of fewer tokens than this is measured on fewer windows: they are not to take longer than it. */
const measuredWhole = 200_000;
const fewest = 8;

/** For a training of so many tokens. */
export function measuredWindows(tokens: number): BoostWindows {
  const share = Math.min(1, tokens / measuredWhole);
  const reported = Math.max(fewest, Math.round(share * whole.reported));
  return {
    live: Math.min(whole.live, reported),
    reported,
    calibrated: Math.max(fewest, Math.round(share * whole.calibrated)),
  };
}
