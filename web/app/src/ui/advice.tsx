import type { JSX } from "preact";
import type { Advice, NextAction } from "../pure/advice.js";
import { Icon } from "./icon.js";

interface Props {
  readonly advice: Advice;
  readonly onRetry?: () => void;
}

/** What went wrong, why, and what to do. */
export function AdviceNote({ advice, onRetry }: Props): JSX.Element {
  return (
    <div class="advice" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{advice.title}</strong>
        <p>{advice.next}</p>
        <div class="advice-actions">{advice.actions.map((a) => <Step key={a} action={a} onRetry={onRetry} />)}</div>
      </div>
    </div>
  );
}

function Step({ action, onRetry }: { readonly action: NextAction; readonly onRetry: (() => void) | undefined }): JSX.Element | null {
  switch (action) {
    case "retry":
      return onRetry ? <button type="button" onClick={onRetry}>Try again</button> : null;
    case "https":
      return <a class="button" href={`https://${location.host}${location.pathname}`}>Open the secure address</a>;
    case "trust":
      return <a href="/trust">How to trust this server</a>;
    case "reload":
      return <button type="button" onClick={() => location.reload()}>Reload</button>;
    case "rejoin":
    case "start":
      return null; // the screens around it have these
  }
}
