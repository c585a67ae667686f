// The namespace service and its client where pages run: Chromium, from another origin.
export const packages = ['chromium'];
