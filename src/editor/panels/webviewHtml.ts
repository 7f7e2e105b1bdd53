import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** The pages that Loupe shows: each is a bundle and its style sheet in dist/webview. */
export type Page = 'sidebar' | 'feature' | 'training' | 'layerMap' | 'saeCard';

/** Lets a webview run Loupe's own bundles and read nothing else of the disk. */
export function webviewOptions(extension: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [pages(extension)] };
}

/** A page that loads one bundle under the strictest policy that it works with; everything to show comes by message. */
export function webviewHtml(webview: vscode.Webview, extension: vscode.Uri, page: Page): string {
  const nonce = randomBytes(16).toString('base64');
  const resource = (file: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(pages(extension), file)).toString();
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource} 'nonce-${nonce}'`,
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource}`,
  ].join('; ');
  // The toolkit inserts a style element of its own and takes the nonce for it from the csp-nonce property.
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta property="csp-nonce" content="${nonce}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${resource(`${page}.css`)}">
<title>Loupe</title>
</head>
<body>
<script nonce="${nonce}" src="${resource(`${page}.js`)}"></script>
</body>
</html>`;
}

function pages(extension: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(extension, 'dist', 'webview');
}
