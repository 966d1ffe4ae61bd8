"""A model of one's own: logistic regression whose coefficients may not be negative, fitted by scipy."""

import numpy as np


class RisingLogistic:
    """A logistic regression in which no input can lower the risk.

    Parameters
    ----------
    penalty : float
        Weight of the squared coefficients.
    """

    def __init__(self, penalty=0.01):
        self.penalty = penalty

    def fit(self, X, y):
        """Fit to a matrix and classes 0 and 1; missing values count as the column's mean."""
        from scipy.optimize import minimize

        self.mean_ = np.nanmean(X, axis=0)
        self.scale_ = np.nanstd(X, axis=0) + 1e-12
        Z = (np.where(np.isnan(X), self.mean_, X) - self.mean_) / self.scale_
        sign = 2.0 * y - 1.0

        def loss(weights):
            margin = sign * (Z @ weights[1:] + weights[0])
            pull = -sign / (1.0 + np.exp(np.clip(margin, -500, 500)))
            slope = np.concatenate([[pull.mean()], Z.T @ pull / len(y) + self.penalty * weights[1:]])
            return np.logaddexp(0, -margin).mean() + self.penalty * (weights[1:] ** 2).sum() / 2, slope

        start, bounds = np.zeros(Z.shape[1] + 1), [(None, None), *[(0, None)] * Z.shape[1]]
        self.weights_ = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        return self

    def as_estimator(self):
        """Return the same function as a fitted estimator that scikit-learn ships."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        columns = len(self.mean_)
        imputer = SimpleImputer().fit(self.mean_[np.newaxis, :])
        last = LogisticRegression().fit(np.vstack([np.zeros(columns), np.ones(columns)]), [0, 1])
        last.coef_ = (self.weights_[1:] / self.scale_)[np.newaxis, :]
        last.intercept_ = np.array([self.weights_[0] - (self.weights_[1:] / self.scale_) @ self.mean_])
        return make_pipeline(imputer, last)
