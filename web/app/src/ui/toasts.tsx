import type { JSX } from "preact";
import { dismiss, toasts } from "../state/toasts.js";
import { Icon } from "./icon.js";

/** The list is always there, so that screen readers watch it. */
export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite" aria-relevant="additions">
      {toasts.value.map(({ id, text, next, step }) => (
        <div class="toast" key={id}>
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
                  dismiss(id);
                  step.does();
                }}
              >
                {step.label}
              </button>
            )}
          </div>
          {next && (
            <button type="button" class="quiet small" aria-label="Close this message" onClick={() => dismiss(id)}>
              <Icon name="close" />
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
