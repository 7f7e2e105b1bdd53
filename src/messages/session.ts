/** What travels between a webview's page and the extension host: `session` tells one load of the page from the next. */
export interface SessionMessage {
  readonly session: string;
  readonly message: unknown;
}

export function isSessionMessage(value: unknown): value is SessionMessage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'session' in value &&
    typeof value.session === 'string' &&
    'message' in value
  );
}
