/** An activation in the SAE's own scale: three significant digits, no exponent for ordinary sizes. */
export function formatActivation(activation: number): string {
  if (activation >= 100) return activation.toFixed(0);
  return activation >= 10 ? activation.toFixed(1) : activation.toFixed(2);
}

/** False for NaN, and for the null that VS Code makes of it on the way to a webview. */
export function isKnown(value: number): boolean {
  return Number.isFinite(value);
}

/** A measured figure, without an exponent at ordinary sizes: "250", "3.1", "0.2". */
export function formatFigure(value: number, digits = 2): string {
  return String(Number(value.toPrecision(digits)));
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

/** Explained variance and other numbers about 1: three decimals, a dash where unknown. */
export function formatDecimal(value: number, decimals = 3): string {
  if (!Number.isFinite(value)) return '–';
  const text = value.toFixed(decimals).replace('-', '−');
  return /^−[0.]+$/.test(text) ? text.slice(1) : text;
}

/** A relative change with its sign: "+7.7 %", "−42 %". */
export function formatChange(fraction: number): string {
  if (!Number.isFinite(fraction)) return '–';
  const size = Math.abs(fraction);
  if (size < 0.000_05) return '0.00 %';
  return `${fraction < 0 ? '−' : '+'}${formatPercent(size)}`;
}

/** A duration for people: "40 s", "12 min", "1 h 20 min". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

/** A size for people, in decimal units: "512 B", "1.5 MB", "135 GB". */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes) || bytes < 0) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value.toFixed(unit === 0 || value >= 99.95 ? 0 : 1)} ${units[unit] ?? ''}`;
}
