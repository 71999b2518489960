/** How many bytes a text has in UTF-8. */
export declare function bytesOf(text: string): number;
