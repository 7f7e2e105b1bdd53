// The status item's menu; VS Code is a fake.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fakeVscode } from './fakes/vscode.ts';

/** What is used of it here: the module needs VS Code's types. */
interface MenuModule {
  readonly menuItems: (facts: object) => readonly { label: string; command?: string }[];
}

fakeVscode();

it('the menu has what can be done as things stand', async () => {
  const path: string = new URL('../../src/editor/menu.ts', import.meta.url).href;
  const { menuItems } = (await import(path)) as MenuModule;
  const commandsOf = (facts: object): string[] =>
    menuItems(facts).flatMap(({ command }) => command ?? []);
  const all = commandsOf({ failed: false, hasReports: true, hasCuda: true });
  const declared = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  for (const command of all) {
    const isView = command === 'loupe.sidebar.focus'; // VS Code's own
    assert.ok(isView || declared.includes(`"command": "${command}"`), command);
  }
  assert.equal(new Set(all).size, all.length);
  const failed = commandsOf({ failed: true, hasReports: true, hasCuda: true });
  assert.equal(failed[0], 'loupe.restartEngine');
  assert.deepEqual([...failed].sort(), [...all].sort());
  const few = commandsOf({ failed: false, hasReports: false, hasCuda: false });
  assert.deepEqual(
    all.filter(command => !few.includes(command)),
    ['loupe.showReport', 'loupe.downloadCuda'],
  );
});
