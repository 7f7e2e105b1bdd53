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
/** What package.json would have, of those for which a test says so; others have their own value as the default. */
export const defaults = new Map<string, unknown>();
const changed = new EventEmitter<{ affectsConfiguration(name: string): boolean }>();

/** Sets one as the user would. */
export function set(name: string, value: unknown): void {
  settings.set(name, value);
  changed.fire({ affectsConfiguration: other => other === name });
}

export const workspace = {
  onDidChangeConfiguration: changed.event,
  onDidChangeTextDocument: new EventEmitter<unknown>().event,
  workspaceFolders: undefined,
  getConfiguration: (section: string) => ({
    get: (name: string) => settings.get(`${section}.${name}`),
    inspect: (name: string) => ({
      defaultValue: defaults.get(`${section}.${name}`) ?? settings.get(`${section}.${name}`),
    }),
  }),
  isTrusted: true,
};

export const ProgressLocation = { Notification: 15 };
export const InputBoxValidationSeverity = { Info: 1 };
export const QuickPickItemKind = { Separator: -1 };

/** What was asked and told, in order: "warn Loupe: ...", "progress ..." and, when that ends, "done ...". */
export const shown: string[] = [];

/** What the user does: called with what is asked, as in `shown`; and whether a progress is cancelled. */
export const user: {
  answer: (asked: string) => unknown;
  cancels: (title: string) => boolean;
} = { answer: () => undefined, cancels: () => false };

function ask(asked: string): Promise<unknown> {
  shown.push(asked);
  return Promise.resolve(user.answer(asked));
}

/** Nothing is shown: what would be is noted. */
export const window = {
  onDidChangeTextEditorSelection: new EventEmitter<unknown>().event,
  visibleTextEditors: [],
  showInformationMessage: (text: string) => ask(`tell ${text}`),
  showWarningMessage: (text: string) => ask(`warn ${text}`),
  showErrorMessage: (text: string) => ask(`fail ${text}`),
  showInputBox: ({ prompt }: { readonly prompt: string }) => ask(`input ${prompt}`),
  showQuickPick: (_items: unknown, { title }: { readonly title: string }) => ask(`pick ${title}`),
  async withProgress<T>(
    { title, cancellable }: { readonly title: string; readonly cancellable: boolean },
    act: (progress: object, token: object) => Promise<T>,
  ): Promise<T> {
    shown.push(`progress ${title}`);
    const cancel = (listener: () => void): unknown =>
      cancellable && user.cancels(title) && setTimeout(listener, 5);
    try {
      return await act({ report: () => undefined }, { onCancellationRequested: cancel });
    } finally {
      shown.push(`done ${title}`);
    }
  },
};
