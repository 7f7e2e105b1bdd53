import { register } from 'node:module';

/** Has imports of 'vscode' from here on find the few parts of it that are in `vscodeParts.ts`. */
export function fakeVscode(): void {
  const parts = JSON.stringify(new URL('vscodeParts.ts', import.meta.url).href);
  const hook = `export const resolve = (name, context, next) =>
    name === 'vscode' ? { url: ${parts}, format: 'module', shortCircuit: true } : next(name, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
