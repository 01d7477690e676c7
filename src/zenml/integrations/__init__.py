"""Integrations with other libraries. This module is the table of what each one brings; it imports none of them."""

from zenml.enums import StackComponentType as _Type
from zenml.model.records import FlavorRecord as _Flavor
from zenml.stack.integrations import Integration

_AIRFLOW = "zenml.integrations.airflow"
_AWS = "zenml.integrations.aws"
_AZURE = "zenml.integrations.azure"
_DASK = "zenml.integrations.dask"
_DOCKER = "zenml.integrations.docker"
_GCP = "zenml.integrations.gcp"
_KUBERNETES = "zenml.integrations.kubernetes"
_KUBEFLOW = "zenml.integrations.kubeflow"
_PYTORCH = "zenml.integrations.pytorch.materializers"
_RAY = "zenml.integrations.ray"
_S3 = "zenml.integrations.s3"
_SLURM = "zenml.integrations.slurm"
_SKLEARN = "zenml.integrations.sklearn.materializers"
_SPARK = "zenml.integrations.spark"
_VAULT = "zenml.integrations.vault"

INTEGRATIONS: tuple[Integration, ...] = (
    Integration(
        name="airflow",
        # Airflow's API and a folder are all that is needed: Airflow itself lives in an environment of its own.
        flavors=(
            _Flavor(
                _Type.ORCHESTRATOR, "airflow", f"{_AIRFLOW}.orchestrators.AirflowOrchestrator", "airflow"
            ),
        ),
    ),
    Integration(
        name="aws",
        requirements=("boto3>=1.40",),
        flavors=(
            _Flavor(_Type.ORCHESTRATOR, "aws_batch", f"{_AWS}.orchestrators.AWSBatchOrchestrator", "aws"),
            _Flavor(_Type.SECRETS_MANAGER, "aws", f"{_AWS}.secrets_managers.AWSSecretsManager", "aws"),
            _Flavor(_Type.STEP_OPERATOR, "sagemaker", f"{_AWS}.step_operators.SagemakerStepOperator", "aws"),
        ),
    ),
    Integration(
        name="azure",
        requirements=("adlfs>=2025.8", "azure-identity>=1.19", "azure-keyvault-secrets>=4.9"),
        flavors=(
            _Flavor(_Type.ARTIFACT_STORE, "azure", f"{_AZURE}.artifact_stores.AzureArtifactStore", "azure"),
            _Flavor(
                _Type.SECRETS_MANAGER,
                "azure_key_vault",
                f"{_AZURE}.secrets_managers.AzureSecretsManager",
                "azure",
            ),
            _Flavor(_Type.STEP_OPERATOR, "azureml", f"{_AZURE}.step_operators.AzureMLStepOperator", "azure"),
        ),
    ),
    Integration(
        name="dask",
        requirements=("distributed>=2025.7",),
        flavors=(_Flavor(_Type.ORCHESTRATOR, "dask", f"{_DASK}.orchestrators.DaskOrchestrator", "dask"),),
    ),
    Integration(
        name="docker",
        requirements=("docker>=7.1",),
        flavors=(
            _Flavor(_Type.ORCHESTRATOR, "docker", f"{_DOCKER}.orchestrators.DockerOrchestrator", "docker"),
            _Flavor(_Type.STEP_OPERATOR, "docker", f"{_DOCKER}.step_operators.DockerStepOperator", "docker"),
        ),
    ),
    Integration(
        name="gcp",
        requirements=("gcsfs>=2025.7", "google-auth[requests]>=2.35"),
        flavors=(
            _Flavor(_Type.ARTIFACT_STORE, "gcp", f"{_GCP}.artifact_stores.GCPArtifactStore", "gcp"),
            _Flavor(
                _Type.SECRETS_MANAGER,
                "gcp_secrets_manager",
                f"{_GCP}.secrets_managers.GCPSecretsManager",
                "gcp",
            ),
            _Flavor(_Type.STEP_OPERATOR, "vertex", f"{_GCP}.step_operators.VertexStepOperator", "gcp"),
        ),
    ),
    Integration(
        name="kubernetes",
        requirements=("kubernetes>=30",),
        flavors=(
            _Flavor(
                _Type.ORCHESTRATOR,
                "kubernetes",
                f"{_KUBERNETES}.orchestrators.KubernetesOrchestrator",
                "kubernetes",
            ),
            _Flavor(
                _Type.STEP_OPERATOR,
                "kubernetes",
                f"{_KUBERNETES}.step_operators.KubernetesStepOperator",
                "kubernetes",
            ),
        ),
    ),
    Integration(
        name="kubeflow",
        requirements=("kfp>=2.14",),
        flavors=(
            _Flavor(
                _Type.ORCHESTRATOR, "kubeflow", f"{_KUBEFLOW}.orchestrators.KubeflowOrchestrator", "kubeflow"
            ),
        ),
    ),
    Integration(
        name="pytorch",
        requirements=("torch>=2.4", "safetensors>=0.4.5"),
        materializers={
            "torch.Tensor": f"{_PYTORCH}.pytorch_tensor_materializer.PyTorchTensorMaterializer",
            "torch.nn.modules.module.Module": f"{_PYTORCH}.pytorch_module_materializer.PyTorchModuleMaterializer",
            "torch.utils.data.dataloader.DataLoader": f"{_PYTORCH}.pytorch_dataloader_materializer.PyTorchDataLoaderMaterializer",
        },
    ),
    Integration(
        name="ray",
        requirements=("ray>=2.50",),
        flavors=(
            _Flavor(_Type.ORCHESTRATOR, "ray", f"{_RAY}.orchestrators.RayOrchestrator", "ray"),
            _Flavor(_Type.STEP_OPERATOR, "ray", f"{_RAY}.step_operators.RayStepOperator", "ray"),
        ),
    ),
    Integration(
        name="s3",
        requirements=("s3fs>=2025.7",),
        flavors=(_Flavor(_Type.ARTIFACT_STORE, "s3", f"{_S3}.artifact_stores.S3ArtifactStore", "s3"),),
    ),
    Integration(
        name="sklearn",
        requirements=("scikit-learn>=1.5", "skops>=0.11"),
        materializers={
            "sklearn.base.BaseEstimator": f"{_SKLEARN}.sklearn_materializer.SklearnMaterializer",
        },
    ),
    Integration(
        name="slurm",
        flavors=(
            _Flavor(_Type.ORCHESTRATOR, "slurm", f"{_SLURM}.orchestrators.SlurmOrchestrator", "slurm"),
            _Flavor(_Type.STEP_OPERATOR, "slurm", f"{_SLURM}.step_operators.SlurmStepOperator", "slurm"),
        ),
    ),
    Integration(
        name="spark",
        requirements=("pyspark>=4.1",),
        flavors=(
            _Flavor(_Type.STEP_OPERATOR, "spark", f"{_SPARK}.step_operators.SparkStepOperator", "spark"),
        ),
    ),
    Integration(
        name="vault",
        requirements=("hvac>=2.3",),
        flavors=(
            _Flavor(
                _Type.SECRETS_MANAGER, "vault", f"{_VAULT}.secrets_managers.VaultSecretsManager", "vault"
            ),
        ),
    ),
)
