import type { JSX } from "preact";
import type { Toast } from "../pure/toasts.js";
import { dismiss, hold, release, toasts } from "../state/toasts.js";
import { moreButton } from "./focus.js";
import { Icon } from "./icon.js";

/** The list is there as long as the call, so that screen readers watch it. The newest comes first: where they do not all have room, it is seen. */
export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite" aria-relevant="additions">
      {[...toasts.value].reverse().map((toast) => (
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
  return (
    <div
      class="toast"
      onFocusIn={() => hold(id, "focus")}
      onFocusOut={() => release(toast, "focus")}
      onPointerEnter={() => hold(id, "pointer")}
      onPointerLeave={() => release(toast, "pointer")}
      onKeyDown={(e) => {
        if (e.key !== "Escape") return;
        e.stopPropagation(); // what is open stays
        leave();
      }}
    >
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
