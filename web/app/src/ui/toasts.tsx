import type { JSX } from "preact";
import type { Toast } from "../pure/toasts.js";
import { dismiss, hold, release, toasts } from "../state/toasts.js";
import { moreButton } from "./focus.js";
import { Icon } from "./icon.js";

/** The list is always there, so that screen readers watch it. */
export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite" aria-relevant="additions">
      {toasts.value.map((toast) => (
        <Message key={toast.id} toast={toast} />
      ))}
    </div>
  );
}

function Message({ toast }: { readonly toast: Toast }): JSX.Element {
  const { id, text, next, step } = toast;
  // In a call the keyboard is in the bar then, which is where what the step opens is opened otherwise.
  const leave = (): void => {
    document.getElementById(moreButton)?.focus();
    dismiss(id);
  };
  const stays = (): void => hold(id);
  const goes = ({ currentTarget }: { readonly currentTarget: EventTarget & Element }): void => {
    if (!currentTarget.matches(":hover, :focus-within")) release(toast);
  };
  return (
    <div class="toast" onFocusIn={stays} onFocusOut={goes} onPointerEnter={stays} onPointerLeave={goes}>
      <div class="toast-says">
        <span>
          {text}
          {next && <small>{next}</small>}
        </span>
        {step && (
          <button
            type="button"
            class="small"
            onClick={() => {
              leave();
              step.does();
            }}
          >
            {step.label}
          </button>
        )}
      </div>
      {next && (
        <button type="button" class="quiet small" aria-label="Close this message" onClick={leave}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}
