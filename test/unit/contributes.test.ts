import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hoverCommands } from '../../src/analysis/hoverText.ts';

/** The parts of package.json that the code must agree with. */
interface Manifest {
  readonly icon: string;
  readonly capabilities: {
    readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] };
  };
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly category: string }[];
    readonly menus: Readonly<Record<string, readonly { readonly command: string }[]>>;
    readonly configuration: {
      readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    };
    readonly colors: readonly { readonly id: string; readonly defaults: object }[];
    readonly walkthroughs: readonly {
      readonly steps: readonly {
        readonly description: string;
        readonly media: { readonly markdown: string };
      }[];
    }[];
  };
}

const manifest = JSON.parse(read('package.json')) as Manifest;
const { contributes } = manifest;
const commands = contributes.commands.map(({ command }) => command);
const settings = Object.keys(contributes.configuration.properties);

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** The first group of every match, sorted, each once. */
function found(path: string, pattern: RegExp): string[] {
  return [...new Set([...read(path).matchAll(pattern)].map(match => match[1] ?? ''))].sort();
}

describe('package.json and the editor', () => {
  it('declare the same commands', () => {
    const registered = [
      ...['src/editor/commands.ts', 'src/editor/training/trainingCommands.ts'].flatMap(file =>
        found(file, /^ {2}'(loupe\.\w+)':/gm),
      ),
      ...['src/editor/layerMaps/layerMapPanel.ts', 'src/editor/panels/saeCardEditor.ts'].flatMap(
        file => found(file, /registerCommand\('(loupe\.\w+)'/g),
      ),
    ].sort();
    assert.ok(registered.length > 10);
    assert.deepEqual(registered, [...commands].sort());
    assert.ok(contributes.commands.every(({ category }) => category === 'Loupe'));
  });

  it('name no command that is not declared', () => {
    const menus = Object.values(contributes.menus).flat();
    const links = contributes.walkthroughs
      .flatMap(({ steps }) => steps)
      .flatMap(({ description }) => [...description.matchAll(/command:([\w.]+)/g)])
      .map(match => match[1] ?? '')
      .filter(command => command !== 'loupe.sidebar.focus'); // VS Code's own, for every view
    const used = menus.map(({ command }) => command);
    for (const command of [...used, ...links, ...hoverCommands]) {
      assert.ok(commands.includes(command), command);
    }
  });

  it('declare the same settings, each with a description and a default', () => {
    const body = /interface Settings \{[^}]*\}/.exec(read('src/editor/settings.ts'))?.[0] ?? '';
    const typed = [...body.matchAll(/readonly '?([\w.]+)'?:/g)].map(
      match => `loupe.${match[1] ?? ''}`,
    );
    assert.deepEqual([...typed].sort(), [...settings].sort());
    for (const [name, schema] of Object.entries(contributes.configuration.properties)) {
      assert.ok(typeof schema['markdownDescription'] === 'string', name);
      assert.ok('default' in schema, name);
    }
  });

  it('restrict what an untrusted workspace could have loaded', () => {
    const restricted = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
    for (const name of settings.filter(setting => /\.(path|domains)$/.test(setting))) {
      assert.ok(restricted.includes(name), name);
    }
    for (const name of restricted) assert.ok(settings.includes(name), name);
  });

  it('declare every colour that the tints use, for every kind of theme', () => {
    const ids = new Set(contributes.colors.map(({ id }) => id));
    for (let step = 1; step <= 10; step++) {
      for (const name of ['activation', 'underline', 'route', 'routeUnderline']) {
        assert.ok(ids.has(`loupe.${name}${step}`));
      }
    }
    for (const name of ['shrunk', 'shrunkUnderline', 'grown', 'grownUnderline']) {
      for (let step = 1; step <= 5; step++) assert.ok(ids.has(`loupe.${name}${step}`));
    }
    assert.ok(ids.has('loupe.overviewRuler'));
    assert.equal(ids.size, 61);
    for (const { defaults } of contributes.colors) {
      assert.deepEqual(Object.keys(defaults).sort(), [
        'dark',
        'highContrast',
        'highContrastLight',
        'light',
      ]);
    }
  });

  it('name only pictures and pages that exist', () => {
    const pages = contributes.walkthroughs.flatMap(({ steps }) =>
      steps.map(step => step.media.markdown),
    );
    assert.equal(pages.length, 6);
    for (const path of [manifest.icon, ...pages]) {
      assert.ok(existsSync(new URL(`../../${path}`, import.meta.url)), path);
    }
  });
});
