// Settings that the user has misspelt; VS Code is a fake.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fakeVscode } from './fakes/vscode.ts';
import { defaults, set } from './fakes/vscodeParts.ts';

/** What is used of it here: the module needs VS Code's types. */
interface SettingsModule {
  readonly setting: (name: string) => unknown;
}
interface Manifest {
  readonly contributes: {
    readonly configuration: {
      readonly properties: Readonly<Record<string, { enum?: string[]; default: unknown }>>;
    };
  };
}

fakeVscode();

it('what cannot be chosen is the default instead', async () => {
  const path: string = new URL('../../src/editor/settings.ts', import.meta.url).href;
  const { setting } = (await import(path)) as SettingsModule;
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { properties } = (JSON.parse(text) as Manifest).contributes.configuration;
  const choices = Object.entries(properties).flatMap(([name, { enum: values, default: value }]) =>
    values ? [{ name, values, value }] : [],
  );
  assert.ok(choices.length >= 3);
  for (const { name, values, value } of choices) {
    defaults.set(name, value);
    const short = name.slice('loupe.'.length);
    for (const choice of values) {
      set(name, choice);
      assert.equal(setting(short), choice, name);
    }
    set(name, 'misspelt');
    assert.equal(setting(short), value, name);
  }
  defaults.clear();
});
