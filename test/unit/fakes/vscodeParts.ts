// What tests of the editor's parts need of vscode.

type Listener<T> = (event: T) => void;

export class EventEmitter<T> {
  private readonly listeners = new Set<Listener<T>>();
  readonly event = (listener: Listener<T>): { dispose(): void } => {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  };
  fire(event: T): void {
    for (const listener of this.listeners) listener(event);
  }
  dispose(): void {
    this.listeners.clear();
  }
}

/** What the user has set, by its full name, as in 'loupe.device'. */
export const settings = new Map<string, unknown>();
const changed = new EventEmitter<{ affectsConfiguration(name: string): boolean }>();

/** Sets one as the user would. */
export function set(name: string, value: unknown): void {
  settings.set(name, value);
  changed.fire({ affectsConfiguration: other => other === name });
}

/** package.json's part of it is left out: a setting has its own value as the default. */
export const workspace = {
  onDidChangeConfiguration: changed.event,
  onDidChangeTextDocument: new EventEmitter<unknown>().event,
  workspaceFolders: undefined,
  getConfiguration: (section: string) => ({
    get: (name: string) => settings.get(`${section}.${name}`),
    inspect: (name: string) => ({ defaultValue: settings.get(`${section}.${name}`) }),
  }),
};

/** Nothing is shown. */
export const window = {
  onDidChangeTextEditorSelection: new EventEmitter<unknown>().event,
  visibleTextEditors: [],
};
