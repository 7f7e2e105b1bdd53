import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  type DataCallback,
  type Message,
  type MessageConnection,
} from 'vscode-jsonrpc';
import { DisposableStore, type Disposable } from '../common/disposable.ts';

/** A way to another process or page: passes structured-clonable values in order, and says when the far side is gone. */
export interface Port {
  /** Rejects or throws where the value cannot be sent. */
  post(message: unknown): void | Promise<void>;
  onMessage(listener: (message: unknown) => void): Disposable;
  onClose(listener: () => void): Disposable;
}

/** Two-way JSON-RPC over a port. Disposing it, or the port's closing, fails every pending call with `stopped`. */
export interface Connection extends Disposable {
  readonly rpc: MessageConnection;
  /** Called once, when the far side is gone or this side has disposed the connection. */
  onClose(listener: () => void): Disposable;
}

/**
 * Starts talking over a port. vscode-jsonrpc must have been given its platform before: import this through
 * childProcess.ts, panel.ts or webview.ts, which do so.
 */
export function connect(port: Port): Connection {
  const owned = new DisposableStore();
  const rpc = createMessageConnection(new PortReader(port), new PortWriter(port));
  owned.register(rpc);
  const connection: Connection = {
    rpc,
    onClose: listener => rpc.onDispose(listener),
    dispose: () => owned.dispose(),
  };
  // vscode-jsonrpc leaves pending calls hanging when its transport closes; disposing it rejects them.
  owned.register(port.onClose(() => connection.dispose()));
  rpc.listen();
  return connection;
}

class PortReader extends AbstractMessageReader {
  private readonly port: Port;

  constructor(port: Port) {
    super();
    this.port = port;
  }

  listen(callback: DataCallback): Disposable {
    return this.port.onMessage(message => {
      try {
        if (isMessage(message)) callback(message);
      } catch (error) {
        // A malformed message must not throw into whoever delivered it.
        this.fireError(error);
      }
    });
  }
}

class PortWriter extends AbstractMessageWriter {
  private readonly port: Port;

  constructor(port: Port) {
    super();
    this.port = port;
  }

  async write(message: Message): Promise<void> {
    await this.port.post(message);
  }

  end(): void {
    // A port has no end of its own: whoever made it closes it.
  }
}

function isMessage(value: unknown): value is Message {
  return (
    typeof value === 'object' && value !== null && 'jsonrpc' in value && value.jsonrpc === '2.0'
  );
}
