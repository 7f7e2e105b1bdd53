/** An activation in the SAE's own scale: three significant digits, no exponent for ordinary sizes. */
export function formatActivation(activation: number): string {
  if (activation >= 100) return activation.toFixed(0);
  return activation >= 10 ? activation.toFixed(1) : activation.toFixed(2);
}

/** False for NaN, and for the null that VS Code makes of it on the way to a webview. */
export function isKnown(value: number): boolean {
  return Number.isFinite(value);
}

/** A fraction as a percentage with two significant digits at least. */
export function formatPercent(fraction: number): string {
  if (!isKnown(fraction)) return '–';
  const percent = fraction * 100;
  if (percent !== 0 && Math.abs(percent) < 0.01) return '<0.01 %';
  return `${percent.toFixed(Math.abs(percent) < 1 ? 2 : Math.abs(percent) < 10 ? 1 : 0)} %`;
}

const grouped = new Intl.NumberFormat('en');

/** A count with its thousands set apart. */
export function formatCount(count: number): string {
  return grouped.format(count);
}
