import { DeviceError } from "./errors.js";
/** getUserMedia; rejects with a DeviceError. */
export declare function openDevices(constraints: MediaStreamConstraints): Promise<MediaStream>;
/** getDisplayMedia; rejects with a DeviceError. */
export declare function openScreen(options?: DisplayMediaStreamOptions): Promise<MediaStream>;
/** What an error of the browser means, for a person. */
export declare function deviceError(reason: unknown, device: string): DeviceError;
